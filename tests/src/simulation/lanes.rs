//! Background work as turns of the simulation's loop.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use tidegate::flow::{Job, Lane, Lanes, Waker};

use crate::random::Random;

/// The most jobs that wait in a lane.
const JOBS_MAX: usize = 3;

type Queues = Vec<VecDeque<Job>>;

/// All lanes of a simulation. Clones are the same lanes.
#[derive(Clone, Default)]
pub struct SimLanes(Arc<Mutex<Queues>>);

impl SimLanes {
    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.0.lock().expect("nobody panics with this lock")
    }

    /// Does the next job of some lane that has one.
    pub fn run_one(&self, random: &mut Random) {
        let job = {
            let mut queues = self.queues();
            let busy: Vec<usize> =
                (0..queues.len()).filter(|&index| !queues[index].is_empty()).collect();
            if busy.is_empty() {
                return;
            }
            queues[*random.choose(&busy)].pop_front()
        };
        if let Some(job) = job {
            job();
        }
    }

    /// Drops all lanes with what waits in them.
    pub fn clear(&self) {
        let dropped = std::mem::take(&mut *self.queues());
        drop(dropped);
    }
}

impl Lanes for SimLanes {
    fn lane(&self, _task: &str, _waker: &Waker) -> Box<dyn Lane> {
        let mut queues = self.queues();
        queues.push(VecDeque::new());
        Box::new(SimLane { lanes: self.clone(), index: queues.len() - 1 })
    }
}

struct SimLane {
    lanes: SimLanes,
    index: usize,
}

impl Lane for SimLane {
    fn try_run(&mut self, job: Job) -> Result<(), Job> {
        let mut queues = self.lanes.queues();
        // The lanes are gone with their attempt.
        let Some(queue) = queues.get_mut(self.index) else { return Ok(()) };
        if queue.len() >= JOBS_MAX {
            return Err(job);
        }
        queue.push_back(job);
        Ok(())
    }
}
