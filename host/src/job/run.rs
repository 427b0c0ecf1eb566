//! Builds the tasks of a plan, drives each with a thread, and waits for the end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use super::build::{Built, build};
use super::plan::Plan;
use super::report::Report;
use crate::env::{Clock, Stopwatch, SystemClock};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Metrics, StopFlag, StopReason, Task, Waker, drive};
use crate::wasm::LogSink;

/// How often the job looks whether it shall stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// What a run needs besides its plan.
pub struct RunOptions {
    /// Asks the job to stop.
    pub stop: Arc<StopFlag>,
    /// Where functions' log lines and the job's warnings go.
    pub log: LogSink,
    /// The counters of this plan, at zero; see [`Metrics::of`].
    pub metrics: Arc<Metrics>,
}

/// A partition of a node, ready to run.
pub(super) struct NamedTask {
    pub(super) name: String,
    pub(super) waker: Waker,
    pub(super) task: Box<dyn Task>,
}

/// Runs a job to its end. What its sinks hold back becomes visible only if it ends well, be it that
/// its input ended or that it was asked to stop.
///
/// Reports what was done in any case, beside the first failure of any task, if there was one:
/// nothing that sinks hold back becomes visible then.
pub fn run(plan: &Plan, options: &RunOptions) -> (Report, Result<()>) {
    let stopwatch = Stopwatch::start();
    let outcome = run_to_end(plan, options);
    if outcome.is_err() {
        options.stop.stop(StopReason::Failed);
    }
    let reason = options.stop.reason();
    (Report::new(&plan.name, reason, stopwatch.elapsed(), &options.metrics), outcome)
}

fn run_to_end(plan: &Plan, options: &RunOptions) -> Result<()> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Built { tasks, pending } = build(plan, options, &clock)?;
    run_tasks(tasks, &options.stop, &clock)?;
    if options.stop.reason() == Some(StopReason::OutputClosed) {
        // Nobody asked for less output in files because `head` had seen enough.
        return Ok(());
    }
    pending.commit()
}

fn run_tasks(tasks: Vec<NamedTask>, stop: &Arc<StopFlag>, clock: &Arc<dyn Clock>) -> Result<()> {
    let wakers: Vec<Waker> = tasks.iter().map(|task| task.waker.clone()).collect();
    let mut running = tasks.len();
    let (ended, ends) = mpsc::channel();
    for NamedTask { name, waker, mut task } in tasks {
        let (clock, ended) = (clock.clone(), ended.clone());
        let failed = stop.clone();
        let body = move || {
            let driven = || drive(task.as_mut(), &waker, clock.as_ref(), &failed);
            let end =
                catch_unwind(AssertUnwindSafe(driven)).unwrap_or_else(|panic| Err(bug(&*panic)));
            // Its files are removed or closed before the job is told.
            drop(task);
            // The receiver waits for all tasks.
            let _ = ended.send(end);
        };
        let spawned = thread::Builder::new().name(name).spawn(body);
        if let Err(cause) = spawned {
            stop.stop(StopReason::Failed);
            return Err(Error::input("cannot start a thread").caused_by(cause));
        }
    }
    drop(ended);
    let mut failure = None;
    while running > 0 {
        match ends.recv_timeout(STOP_POLL) {
            Ok(end) => {
                running -= 1;
                if let Err(error) = end {
                    stop.stop(StopReason::Failed);
                    failure.get_or_insert(error);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        if stop.reason().is_some() {
            wakers.iter().for_each(Waker::wake);
        }
    }
    failure.map_or(Ok(()), Err)
}

/// A panic of the host is a bug of ours. It ends the job like any failure.
fn bug(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Error::new(ErrorKind::Storage, format!("a bug in tidegate ended the job: {text}"))
        .hint("please report it with the job file and the lines above")
}
