//! What every node's partition is to those who drive it, and the thread that drives one in
//! production.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use super::Waker;
use crate::env::Clock;
use crate::error::Result;

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There may be more to do at once.
    Worked,
    /// Nothing to do until somebody wakes the task, or until this processing time, if there is one.
    Idle(Option<i64>),
    /// The task has ended in good order.
    Done,
}

/// A partition of a node.
pub trait Task: Send {
    /// Does a bounded amount of work without blocking.
    ///
    /// # Errors
    /// If the job must fail. The task is of no use any more.
    fn step(&mut self) -> Result<Step>;
}

/// Why a job stops before its input has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopReason {
    /// Somebody asked for it: in good order, with a last checkpoint.
    Asked,
    /// Somebody asked for it: at once.
    Cancelled,
    /// Nobody reads the standard output any more.
    OutputClosed,
    /// A task failed.
    Failed,
}

/// Asks all tasks of a job to stop.
#[derive(Debug, Default)]
pub struct StopFlag {
    reason: AtomicU8,
}

impl StopFlag {
    /// Asks. A failure overrides other reasons, otherwise the first one stays.
    pub fn stop(&self, reason: StopReason) {
        let code = reason as u8 + 1;
        if reason == StopReason::Failed {
            self.reason.store(code, Ordering::Relaxed);
        } else {
            let _ = self.reason.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Why the job stops, if it does.
    pub fn reason(&self) -> Option<StopReason> {
        match self.reason.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(StopReason::Asked),
            2 => Some(StopReason::Cancelled),
            3 => Some(StopReason::OutputClosed),
            _ => Some(StopReason::Failed),
        }
    }

    /// Whether tasks end where they stand.
    pub fn ends_at_once(&self) -> bool {
        self.reason().is_some_and(|reason| reason != StopReason::Asked)
    }
}

/// Steps a task until it is done, it fails, or the job ends at once.
///
/// # Errors
/// Those of the task.
pub fn drive(
    task: &mut dyn Task,
    waker: &Waker,
    clock: &dyn Clock,
    stop: &Arc<StopFlag>,
) -> Result<()> {
    waker.attach_current_thread();
    loop {
        if stop.ends_at_once() {
            return Ok(());
        }
        match task.step()? {
            Step::Worked => {}
            Step::Idle(None) => std::thread::park(),
            Step::Idle(Some(time)) => {
                let wait = u64::try_from(time.saturating_sub(clock.now_ms())).unwrap_or(0);
                std::thread::park_timeout(Duration::from_millis(wait));
            }
            Step::Done => return Ok(()),
        }
    }
}
