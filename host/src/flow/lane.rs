//! Work that a task must not wait for: one job after the other on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::thread::JoinHandle;

use super::Waker;

/// Something to do in the background.
pub type Job = Box<dyn FnOnce() + Send>;

/// The most jobs that wait in a lane of threads.
const JOBS_MAX: usize = 8;

/// Does jobs in order, beside the task that gives them.
pub trait Lane: Send {
    /// Takes a job, or gives it back if too many wait. Then the task is woken when one is done.
    ///
    /// # Errors
    /// With the job.
    fn try_run(&mut self, job: Job) -> Result<(), Job>;
}

/// Makes lanes: of threads in production, of steps of one loop in a simulation.
pub trait Lanes: Send + Sync {
    /// A lane for the task of this name, which `waker` wakes.
    fn lane(&self, task: &str, waker: &Waker) -> Box<dyn Lane>;
}

/// Lanes of threads.
#[derive(Debug, Default)]
pub struct ThreadLanes;

impl Lanes for ThreadLanes {
    fn lane(&self, task: &str, waker: &Waker) -> Box<dyn Lane> {
        Box::new(ThreadLane {
            name: format!("{task} writer"),
            waker: waker.clone(),
            given_up: Arc::default(),
            thread: None,
        })
    }
}

/// One thread, started with the first job.
struct ThreadLane {
    name: String,
    waker: Waker,
    /// Whether jobs that wait are dropped instead of done.
    given_up: Arc<AtomicBool>,
    thread: Option<(SyncSender<Job>, JoinHandle<()>)>,
}

impl ThreadLane {
    fn start(&self) -> Option<(SyncSender<Job>, JoinHandle<()>)> {
        let (sender, jobs) = mpsc::sync_channel::<Job>(JOBS_MAX);
        let (waker, given_up) = (self.waker.clone(), self.given_up.clone());
        let body = move || {
            for job in jobs {
                if !given_up.load(Ordering::Relaxed) {
                    job();
                }
                waker.wake();
            }
        };
        let spawned = std::thread::Builder::new().name(self.name.clone()).spawn(body);
        spawned.ok().map(|thread| (sender, thread))
    }
}

impl Lane for ThreadLane {
    fn try_run(&mut self, job: Job) -> Result<(), Job> {
        if self.thread.is_none() {
            self.thread = self.start();
        }
        // Without a thread, slow is better than not at all.
        let Some((sender, _)) = &self.thread else {
            job();
            return Ok(());
        };
        sender.try_send(job).map_err(|error| match error {
            TrySendError::Full(job) | TrySendError::Disconnected(job) => job,
        })
    }
}

impl Drop for ThreadLane {
    fn drop(&mut self) {
        // The task ends only when nothing waits, or when nothing of it is wanted any more. The next
        // attempt must not meet a writer of this one.
        self.given_up.store(true, Ordering::Relaxed);
        if let Some((sender, thread)) = self.thread.take() {
            drop(sender);
            // A job that panicked has been reported by the panic.
            let _ = thread.join();
        }
    }
}
