//! What is asked of a running job from outside, and what it tells of itself: the meeting place of
//! the run loop with the control API and Ctrl-C.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::attempt::{Conductor, Ground};
use super::control::{
    Answer, CheckpointsStatus, Control, FunctionStatus, JobState, JobStatus, Reply, Request,
};
use super::plan::Plan;
use super::report::NodeReport;
use super::run::RunOptions;
use super::swap::{Swaps, UndoRequest};
use crate::checkpoint::storage::Below;
use crate::checkpoint::{Progress, RequestId, Target, catalog};
use crate::env::{Clock, Stopwatch, SystemClock};
use crate::error::{Error, Result};
use crate::flow::{Metrics, StopFlag, StopReason};
use crate::state::SnapshotForm;

/// What a job tells of itself.
#[derive(Debug, Clone, Default)]
pub(super) struct RunStatus {
    state: Option<JobState>,
    /// Checkpoints of the current attempt.
    progress: Progress,
    /// Complete checkpoints of earlier attempts.
    completed_before: u64,
    /// Failed checkpoints of earlier attempts.
    failed_before: u64,
    /// Restarts after a failure.
    pub(super) restarts: u32,
    /// The checkpoint that the current attempt began with.
    restored_from: Option<u64>,
    /// The functions of the operators.
    functions: Vec<FunctionStatus>,
}

impl RunStatus {
    /// What became of checkpoints and savepoints.
    pub(super) fn checkpoints(&self) -> CheckpointsStatus {
        CheckpointsStatus {
            completed: self.completed_before + self.progress.completed,
            failed: self.failed_before + self.progress.failed,
            in_progress: self.progress.in_flight as u64,
            last: self.progress.last.clone(),
            restored_from: self.restored_from,
        }
    }
}

#[derive(Default)]
struct Inner {
    status: RunStatus,
    waiting: Vec<(Request, Reply)>,
    /// With whether they end the job.
    replies: BTreeMap<RequestId, (Reply, bool)>,
    interrupt: Option<RequestId>,
    /// Whether a stop that was asked for is done.
    has_stopped: bool,
    next: RequestId,
}

/// Requests on their way to the run loop, and the job's status.
pub struct Requests {
    job: String,
    metrics: Arc<Metrics>,
    started_ms: i64,
    stopwatch: Stopwatch,
    inner: Mutex<Inner>,
}

impl Control for Requests {
    fn status(&self) -> JobStatus {
        let run = self.run_status();
        JobStatus {
            job: self.job.clone(),
            pid: std::process::id(),
            state: run.state.unwrap_or(JobState::Starting),
            started_ms: self.started_ms,
            uptime_ms: u64::try_from(self.stopwatch.elapsed().as_millis()).unwrap_or(u64::MAX),
            restarts: run.restarts,
            nodes: NodeReport::all(&self.metrics),
            checkpoints: run.checkpoints(),
            functions: run.functions,
        }
    }

    fn request(&self, request: Request, reply: Reply) {
        self.inner().waiting.push((request, reply));
    }
}

impl Requests {
    /// For a job that is about to start.
    pub fn new(job: &str, metrics: Arc<Metrics>) -> Self {
        Self {
            job: job.to_owned(),
            metrics,
            started_ms: SystemClock.now_ms(),
            stopwatch: Stopwatch::start(),
            inner: Mutex::default(),
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("nobody panics with this lock")
    }

    pub(super) fn run_status(&self) -> RunStatus {
        self.inner().status.clone()
    }

    pub(super) fn note(&self, progress: &Progress, functions: Vec<FunctionStatus>) {
        let status = &mut self.inner().status;
        status.progress = progress.clone();
        status.functions = functions;
    }

    pub(super) fn started(&self, restored_from: Option<u64>) {
        let status = &mut self.inner().status;
        status.restored_from = restored_from;
        status.state = Some(JobState::Running);
    }

    pub(super) fn restarting(&self) {
        let status = &mut self.inner().status;
        status.completed_before += status.progress.completed;
        status.failed_before += status.progress.failed;
        status.progress = Progress { last: status.progress.last.clone(), ..Progress::default() };
        status.restarts += 1;
        status.state = Some(JobState::Restarting);
    }

    /// Whether the job ends because somebody asked, so that Ctrl-C has nothing to add.
    pub(super) fn has_stopped(&self) -> bool {
        self.inner().has_stopped
    }

    /// The request that Ctrl-C stands for.
    pub(super) fn interrupt(&self) -> RequestId {
        let number = self.number();
        self.inner().interrupt = Some(number);
        number
    }

    /// A number that no other request has.
    pub(super) fn number(&self) -> RequestId {
        let mut inner = self.inner();
        inner.next += 1;
        inner.next
    }

    /// Hands what is asked to the conductor. Gives back a request to undo a swap, which ends the
    /// attempt.
    pub(super) fn hand_over(
        &self,
        conductor: &mut Conductor,
        ground: &Ground,
        (options, swaps): (&RunOptions, &mut Swaps),
        now: i64,
    ) -> Option<UndoRequest> {
        let (plan, stop) = (conductor.plan().clone(), &options.stop);
        let mut undo = None;
        let waiting = std::mem::take(&mut self.inner().waiting);
        for (request, reply) in waiting {
            let target = match &request {
                Request::Cancel => {
                    stop.stop(StopReason::Cancelled);
                    reply.send(Ok(Answer::default()));
                    continue;
                }
                Request::Swap(request) => {
                    let around = (ground, &options.log);
                    undo = undo.or(swaps.begin(request.clone(), reply, conductor, around));
                    continue;
                }
                Request::Savepoint { path: place } | Request::Stop { savepoint: Some(place) } => {
                    savepoint_target(ground, &plan, place.as_deref(), conductor.next_id()).map(Some)
                }
                Request::Stop { savepoint: None } => Ok(None),
            };
            let target = match target {
                Ok(target) => target,
                Err(error) => {
                    reply.send(Err(error));
                    continue;
                }
            };
            let ends = matches!(request, Request::Stop { .. });
            let id = self.enter(reply, ends);
            match target {
                Some(target) if !ends => conductor.savepoint(id, target, now),
                target => {
                    self.inner().status.state = Some(JobState::Stopping);
                    conductor.stop(id, target, now);
                }
            }
        }
        undo
    }

    fn enter(&self, reply: Reply, ends: bool) -> RequestId {
        let id = self.number();
        self.inner().replies.insert(id, (reply, ends));
        id
    }

    /// Passes an answer on. A failure that answers Ctrl-C comes back, to be shown.
    pub(super) fn answer(
        &self,
        request: RequestId,
        answer: Result<Option<String>>,
        stop: &StopFlag,
    ) -> Option<String> {
        let mut inner = self.inner();
        if inner.interrupt == Some(request) {
            let error = answer.err()?;
            return Some(format!("the job cannot stop in good order: {}", error.full_text()));
        }
        if let Some((reply, ends)) = inner.replies.remove(&request) {
            match &answer {
                Ok(_) if ends => {
                    inner.has_stopped = true;
                    stop.stop(StopReason::Asked);
                }
                Err(_) if ends => inner.status.state = Some(JobState::Running),
                _ => {}
            }
            reply.send(answer.map(|savepoint| Answer { savepoint, swap: None }));
        }
        None
    }

    /// Answers all that is open: the job cannot do it any more, or not now.
    pub(super) fn refuse_all(&self, why: &str) {
        let mut inner = self.inner();
        let waiting = std::mem::take(&mut inner.waiting).into_iter().map(|(_, reply)| reply);
        let open = std::mem::take(&mut inner.replies).into_values().map(|(reply, _)| reply);
        for reply in waiting.chain(open) {
            reply.send(Err(Error::input(why)));
        }
    }
}

/// Where a savepoint goes.
fn savepoint_target(ground: &Ground, plan: &Plan, place: Option<&str>, id: u64) -> Result<Target> {
    let hint = "add [checkpoint] to the job file";
    let Some(catalog) = &ground.catalog else {
        return Err(
            Error::input("the job takes no checkpoints, so it takes no savepoints").hint(hint)
        );
    };
    let storage = match place {
        Some(place) => {
            let storage = ground.environment.storages.open(place, &plan.folder)?;
            let files = storage
                .list("")
                .map_err(|cause| Error::storage(format!("cannot list {place}")).caused_by(cause))?;
            if !files.is_empty() {
                let message = format!("{place} is not empty");
                return Err(Error::input(message).hint("name a folder that is empty or not there"));
            }
            storage
        }
        None => Arc::new(Below::new(catalog.storage.clone(), &catalog::savepoint_folder(id))),
    };
    Ok(Target { storage, folder: String::new(), form: SnapshotForm::Canonical })
}
