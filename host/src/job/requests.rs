//! What is asked of a running job from outside, and what it tells of itself: the meeting place of
//! the run loop with the control API and Ctrl-C.

use std::collections::BTreeMap;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, MutexGuard};

use super::attempt::{Conductor, Ground};
use super::plan::Plan;
use crate::checkpoint::storage::Below;
use crate::checkpoint::{Progress, RequestId, Target, catalog};
use crate::error::{Error, Result};
use crate::flow::{StopFlag, StopReason};
use crate::state::SnapshotForm;

/// Something that is asked of a running job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Take a savepoint: there, or at a place below the checkpoint storage.
    Savepoint(Option<String>),
    /// End in good order with a last checkpoint, or with a savepoint at a place.
    Stop(Option<Option<String>>),
    /// End at once.
    Cancel,
}

/// Where the answer goes: where the savepoint or checkpoint is, if one was taken.
pub type Reply = Sender<Result<Option<String>>>;

/// What a job tells of itself.
#[derive(Debug, Clone, Default)]
pub struct RunStatus {
    /// Checkpoints of the current attempt.
    pub progress: Progress,
    /// Complete checkpoints of earlier attempts.
    pub completed_before: u64,
    /// Failed checkpoints of earlier attempts.
    pub failed_before: u64,
    /// Restarts after a failure.
    pub restarts: u64,
    /// Whether it is waiting to restart.
    pub is_restarting: bool,
    /// The checkpoint that the current attempt began with.
    pub restored_from: Option<u64>,
}

impl RunStatus {
    /// Complete checkpoints and savepoints of the run.
    pub fn completed(&self) -> u64 {
        self.completed_before + self.progress.completed
    }

    /// Failed checkpoints and savepoints of the run.
    pub fn failed(&self) -> u64 {
        self.failed_before + self.progress.failed
    }
}

#[derive(Default)]
struct Inner {
    status: RunStatus,
    waiting: Vec<(Request, Reply)>,
    /// With whether they end the job.
    replies: BTreeMap<RequestId, (Reply, bool)>,
    interrupt: Option<RequestId>,
    next: RequestId,
}

/// Requests on their way to the run loop, and the job's status.
#[derive(Default)]
pub struct Requests(Mutex<Inner>);

impl Requests {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().expect("nobody panics with this lock")
    }

    /// Asks; the answer comes when it is done.
    pub fn ask(&self, request: Request, reply: Reply) {
        self.inner().waiting.push((request, reply));
    }

    /// What is known of the run.
    pub fn status(&self) -> RunStatus {
        self.inner().status.clone()
    }

    pub(super) fn note(&self, progress: &Progress) {
        self.inner().status.progress = progress.clone();
    }

    pub(super) fn started(&self, restored_from: Option<u64>) {
        let status = &mut self.inner().status;
        status.restored_from = restored_from;
        status.is_restarting = false;
    }

    pub(super) fn restarting(&self) {
        let status = &mut self.inner().status;
        status.completed_before += status.progress.completed;
        status.failed_before += status.progress.failed;
        status.progress = Progress { last: status.progress.last.clone(), ..Progress::default() };
        status.restarts += 1;
        status.is_restarting = true;
    }

    /// The request that Ctrl-C stands for.
    pub(super) fn interrupt(&self) -> RequestId {
        let mut inner = self.inner();
        inner.next += 1;
        inner.interrupt = Some(inner.next);
        inner.next
    }

    /// Hands what is asked to the conductor.
    pub(super) fn hand_over(
        &self,
        conductor: &mut Conductor,
        ground: &Ground,
        plan: &Plan,
        stop: &StopFlag,
        now: i64,
    ) {
        let waiting = std::mem::take(&mut self.inner().waiting);
        for (request, reply) in waiting {
            let target = match &request {
                Request::Cancel => {
                    stop.stop(StopReason::Cancelled);
                    // Whoever asked may be gone.
                    let _ = reply.send(Ok(None));
                    continue;
                }
                Request::Savepoint(place) | Request::Stop(Some(place)) => {
                    savepoint_target(ground, plan, place.as_deref(), conductor.next_id()).map(Some)
                }
                Request::Stop(None) => Ok(None),
            };
            let target = match target {
                Ok(target) => target,
                Err(error) => {
                    let _ = reply.send(Err(error));
                    continue;
                }
            };
            let id = self.enter(reply, matches!(request, Request::Stop(_)));
            match (request, target) {
                (Request::Savepoint(_), Some(target)) => conductor.savepoint(id, target, now),
                (_, target) => conductor.stop(id, target, now),
            }
        }
    }

    fn enter(&self, reply: Reply, ends: bool) -> RequestId {
        let mut inner = self.inner();
        inner.next += 1;
        let id = inner.next;
        inner.replies.insert(id, (reply, ends));
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
            if ends && answer.is_ok() {
                stop.stop(StopReason::Asked);
            }
            let _ = reply.send(answer);
        }
        None
    }

    /// Answers all that is open: the job cannot do it any more, or not now.
    pub(super) fn refuse_all(&self, why: &str) {
        let mut inner = self.inner();
        let waiting = std::mem::take(&mut inner.waiting).into_iter().map(|(_, reply)| reply);
        let open = std::mem::take(&mut inner.replies).into_values().map(|(reply, _)| reply);
        for reply in waiting.chain(open) {
            let _ = reply.send(Err(Error::input(why)));
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
