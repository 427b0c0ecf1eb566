//! What goes over the control socket, as data. Version 1.
//!
//! | route | body | answer |
//! |---|---|---|
//! | `GET /v1/job` | – | [`JobStatus`] |
//! | `POST /v1/savepoints` | `{"path": "…"}` or none | [`Answer`], when it is complete |
//! | `POST /v1/stop` | `{"savepoint": true}`, a path, or none | [`Answer`], when all is done |
//! | `POST /v1/cancel` | – | [`Answer`] |
//! | `POST /v1/swap` | [`SwapRequest`] | [`Answer`], when the function has changed, or not |
//!
//! What fails is answered with [`Refusal`] and a status that says whose turn it is: 422 the
//! author of a function that faulted, other 4xx whoever asked, 500 the storage or
//! the job, 503 nobody, since the job has ended.

use std::path::PathBuf;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Completed;
use crate::error::{Error, ErrorKind};
use crate::job::NodeReport;
use crate::model::Digest;
use crate::operator::ShadowReport;
use crate::wasm::compatibility::Comparison;

/// `GET`: how the job is doing.
pub const JOB: &str = "/v1/job";
/// `POST`: take a savepoint.
pub const SAVEPOINTS: &str = "/v1/savepoints";
/// `POST`: stop in good order.
pub const STOP: &str = "/v1/stop";
/// `POST`: stop at once.
pub const CANCEL: &str = "/v1/cancel";

/// `POST`: change an operator's function.
pub const SWAP: &str = "/v1/swap";

/// What a job is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Take a savepoint and go on.
    Savepoint {
        /// A folder or URL; none = below the job's checkpoint storage.
        path: Option<String>,
    },
    /// Process what is on the way, commit all output and end.
    Stop {
        /// Whether to take a savepoint at the end, and if so where; see `Savepoint::path`.
        savepoint: Option<Option<String>>,
    },
    /// End without another checkpoint. Output that is not committed is lost.
    Cancel,
    /// Change the function of an operator.
    Swap(SwapRequest),
}

/// Which function takes the place of which, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwapRequest {
    /// The operator's id.
    pub operator: String,
    /// The path of the new component; none = the function before.
    pub component: Option<PathBuf>,
    /// Compare only.
    #[serde(default)]
    pub dry_run: bool,
    /// Run it beside the running one for so many calls a partition first.
    #[serde(default)]
    pub shadow: Option<u64>,
    /// After a shadow run that showed no difference, change over.
    #[serde(default)]
    pub promote: bool,
    /// What a fault of the new function does before the swap is confirmed.
    #[serde(default)]
    pub on_fault: OnFault,
    /// When the swap is confirmed.
    #[serde(default)]
    pub confirm: Confirm,
}

/// What a fault of a new function does before the swap is confirmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnFault {
    /// The function before comes back.
    #[default]
    Rollback,
    /// What the job's policy says: the job fails, or the record is a dead letter.
    Fail,
}

/// When a swap is confirmed: there is no way back from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Confirm {
    /// After so many further checkpoints; 0 = at once, or with the next one if state migrates.
    Checkpoints(u32),
    /// With the first checkpoint after so many milliseconds.
    AfterMs(u64),
}

impl Default for Confirm {
    /// Three checkpoints.
    fn default() -> Self {
        Self::Checkpoints(3)
    }
}

/// What came of a swap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwapAnswer {
    /// SHA-256 of the component that ran.
    pub from: Digest,
    /// SHA-256 of the new one.
    pub to: Digest,
    /// In what they differ.
    pub comparison: Comparison,
    /// What a shadow run has shown.
    pub shadow: Option<ShadowReport>,
    /// What happened.
    pub outcome: SwapOutcome,
}

/// How a swap ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SwapOutcome {
    /// Nothing has changed: it was only asked how it would be, or a shadow run showed differences.
    Unchanged,
    /// Nothing has changed: the new function cannot take the place of the running one.
    Refused,
    /// The function has changed.
    Swapped {
        /// The checkpoint at whose barrier it has.
        checkpoint: String,
        /// How long the slowest partition took for it, in microseconds.
        changeover_us: u64,
        /// Whether it can still be undone.
        confirmed: bool,
    },
    /// The swap that was not confirmed is undone.
    RolledBack,
}

/// The version of a function that runs, or ran, in an operator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionStatus {
    /// The operator's id.
    pub operator: String,
    /// SHA-256 of its component.
    pub sha256: Digest,
    /// What became of its last swap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap: Option<String>,
}

/// What came of a request that was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Where the savepoint is, if one was asked for.
    pub savepoint: Option<String>,
    /// What came of a swap, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<SwapAnswer>,
}

/// How a job is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The job's name.
    pub job: String,
    /// The number of its process.
    pub pid: u32,
    /// What it does.
    pub state: JobState,
    /// When it was started, in milliseconds since 1970.
    pub started_ms: i64,
    /// Since then, in milliseconds.
    pub uptime_ms: u64,
    /// How often it has started again after a failure.
    pub restarts: u32,
    /// Sources, operators, sinks, in the order of the plan.
    pub nodes: Vec<NodeReport>,
    /// Its checkpoints.
    pub checkpoints: CheckpointsStatus,
    /// The functions of its operators.
    #[serde(default)]
    pub functions: Vec<FunctionStatus>,
}

/// What a job does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It opens and restores what it needs.
    Starting,
    /// It processes records.
    Running,
    /// It has failed and will start again.
    Restarting,
    /// It has been asked to end.
    Stopping,
}

impl JobState {
    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            JobState::Starting => "starting",
            JobState::Running => "running",
            JobState::Restarting => "restarting",
            JobState::Stopping => "stopping",
        }
    }
}

/// The checkpoints and savepoints of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointsStatus {
    /// Complete ones.
    pub completed: u64,
    /// Those that failed or timed out.
    pub failed: u64,
    /// Under way.
    pub in_progress: u64,
    /// The newest complete one.
    pub last: Option<Completed>,
    /// The one that the job last started from; none = from the start of its input.
    pub restored_from: Option<u64>,
}

/// The body of a request for a savepoint.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavepointBody {
    pub path: Option<String>,
}

/// The body of a request to stop.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StopBody {
    pub savepoint: Option<SavepointWish>,
}

/// `true`, `false` or a place.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum SavepointWish {
    Wanted(bool),
    At(String),
}

impl Request {
    /// The route, and the body.
    pub(super) fn encode(&self) -> (&'static str, String) {
        let text = |body| serde_json::to_string(&body).expect("text and flags are JSON");
        match self {
            Request::Savepoint { path } => {
                (SAVEPOINTS, text(serde_json::json!(SavepointBody { path: path.clone() })))
            }
            Request::Stop { savepoint } => {
                let wish = |place: &Option<String>| match place {
                    Some(path) => SavepointWish::At(path.clone()),
                    None => SavepointWish::Wanted(true),
                };
                let savepoint = savepoint.as_ref().map(wish);
                (STOP, text(serde_json::json!(StopBody { savepoint })))
            }
            Request::Cancel => (CANCEL, String::new()),
            Request::Swap(request) => (SWAP, text(serde_json::json!(request))),
        }
    }
}

impl From<SavepointBody> for Request {
    fn from(body: SavepointBody) -> Self {
        Self::Savepoint { path: body.path }
    }
}

impl From<StopBody> for Request {
    fn from(body: StopBody) -> Self {
        let savepoint = match body.savepoint {
            None | Some(SavepointWish::Wanted(false)) => None,
            Some(SavepointWish::Wanted(true)) => Some(None),
            Some(SavepointWish::At(path)) => Some(Some(path)),
        };
        Self::Stop { savepoint }
    }
}

/// Why a request was not done.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refusal {
    /// What failed, with its causes.
    pub error: String,
    /// The next step.
    pub hint: Option<String>,
}

impl Refusal {
    /// An error for the other side, and the status that says whose turn it is.
    pub fn of(error: &Error) -> (StatusCode, Self) {
        let status = match error.kind {
            ErrorKind::Input => StatusCode::CONFLICT,
            ErrorKind::Interrupted => StatusCode::SERVICE_UNAVAILABLE,
            ErrorKind::Guest => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Self { error: error.full_text(), hint: error.hint.clone() })
    }

    /// The error on this side.
    pub fn into_error(self, status: StatusCode) -> Error {
        let kind = match status {
            StatusCode::INTERNAL_SERVER_ERROR => ErrorKind::Storage,
            StatusCode::UNPROCESSABLE_ENTITY => ErrorKind::Guest,
            _ => ErrorKind::Input,
        };
        Error { hint: self.hint, ..Error::new(kind, self.error) }
    }
}
