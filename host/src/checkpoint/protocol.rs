//! What passes between the coordinator, tasks and whoever runs the job.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::code::Code;
use super::manifest::{
    ConfirmAfter, DeclaredOperatorState, DeclaredState, Kind, PartitionSnapshot, PreparedOutput,
    SourceState,
};
use super::storage::{Storage, in_folder, place_of};
use crate::error::Result;
use crate::state::SnapshotForm;

/// Where a task writes its part of a checkpoint.
#[derive(Clone)]
pub struct Target {
    /// The storage that file names are relative to.
    pub storage: Arc<dyn Storage>,
    /// The folder of this checkpoint's own files; empty for the root.
    pub folder: String,
    /// How state is written.
    pub form: SnapshotForm,
}

impl Target {
    /// The name of a file of this checkpoint's own.
    pub fn name(&self, file: &str) -> String {
        in_folder(&self.folder, file)
    }

    /// Where it is, for people.
    pub fn place(&self) -> String {
        place_of(&*self.storage, &self.folder)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} ({:?})", self.folder, self.storage.root(), self.form)
    }
}

/// What a task has to say about a barrier that passed it.
#[derive(Debug)]
pub struct Acknowledgement {
    /// The barrier.
    pub id: u64,
    /// The task, counted as in [`CoordinatorSettings::tasks`].
    pub task: usize,
    /// Output that is durable now and waits to be committed. An error means that output is lost
    /// unless the job goes back to an earlier checkpoint.
    pub outputs: Result<Vec<PreparedOutput>>,
    /// Its state, if that could be written.
    pub part: Result<Part>,
}

/// The part of one task in a checkpoint.
#[derive(Debug, Default)]
pub struct Part {
    /// Of a source.
    pub source: Option<SourceState>,
    /// Of an operator: its index, the partition, and what it wrote.
    pub operator: Option<(usize, usize, PartitionSnapshot)>,
}

/// What is to be done outside.
pub enum Action {
    /// Send a barrier through all sources; with `hold` they read no further after it.
    Inject {
        /// Its number.
        id: u64,
        /// Where tasks write their state; none = they write none.
        target: Option<Target>,
        /// Whether sources stop reading.
        hold: bool,
        /// Whether an operator changes its function with it.
        swaps: bool,
    },
    /// Let sources read again.
    Resume,
    /// End all tasks in good order: nothing is left to be committed.
    Finish,
    /// The new function of this operator stays: what was kept for the one before can go.
    Confirmed(usize),
    /// Answer whoever asked for a savepoint, a stop or a swap: where it is, or why not.
    Answer(RequestId, Result<Option<String>>),
    /// Tell the user.
    Warn(String),
}

/// Who asked.
pub type RequestId = u64;

/// What the coordinator must know of the job.
pub struct CoordinatorSettings {
    /// The job's name.
    pub job: String,
    /// Key groups.
    pub max_parallelism: u32,
    /// How many tasks acknowledge, sources and partitions of operators.
    pub tasks: usize,
    /// How many sources.
    pub sources: usize,
    /// The operators.
    pub operators: Vec<OperatorOf>,
    /// Times and numbers; none = the job takes no checkpoints.
    pub policy: Option<Policy>,
}

/// What the coordinator must know of an operator.
#[derive(Debug, Clone)]
pub struct OperatorOf {
    /// The id in the job file.
    pub id: String,
    /// Its function.
    pub code: Code,
    /// Its keyed states, column by column.
    pub states: Vec<DeclaredState>,
    /// Its operator states.
    pub operator_states: Vec<DeclaredOperatorState>,
}

/// A swap that waits for its barrier.
#[derive(Debug, Clone)]
pub struct SwapPlan {
    /// Who asked.
    pub request: RequestId,
    /// Index of the operator.
    pub operator: usize,
    /// What the operator is once the barrier has passed.
    pub next: OperatorOf,
    /// Whether a fault brings the function before back.
    pub rolls_back: bool,
    /// Whether state is taken to another schema version.
    pub migrates: bool,
    /// What must happen before it is confirmed; none = nothing, unless it migrates.
    pub confirmed_after: Option<ConfirmAfter>,
}

/// A swap whose new function may still give way to the one before.
#[derive(Debug, Clone)]
pub struct Unconfirmed {
    /// Index of the operator.
    pub operator: usize,
    /// The checkpoint at whose barrier the function changed.
    pub since: u64,
    /// The function before.
    pub previous: Code,
    /// Whether a fault brings it back.
    pub rolls_back: bool,
    /// Whether state is taken to another schema version; nothing is committed before it is
    /// confirmed then.
    pub migrates: bool,
    /// What must happen before it is confirmed.
    pub confirmed_after: ConfirmAfter,
}

/// When checkpoints are taken, and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// From the start of one checkpoint to the start of the next. Default 10 s, above zero.
    pub interval: Duration,
    /// After which a checkpoint that is not complete has failed. Default 10 min, above zero.
    pub timeout: Duration,
    /// From the end of one checkpoint to the start of the next, at least. Default 0.
    pub min_pause: Duration,
    /// How many may be under way at once. Default 1, at least 1.
    pub max_concurrent: u32,
    /// How many in a row may fail before the job does. Default 0.
    pub tolerable_failures: u32,
    /// How many complete checkpoints are kept. Default 2, at least 1.
    pub keep: u32,
}

/// What has happened so far, for people.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// Complete checkpoints and savepoints.
    pub completed: u64,
    /// Those that failed or timed out.
    pub failed: u64,
    /// Under way.
    pub in_flight: usize,
    /// The newest complete one.
    pub last: Option<Completed>,
    /// A swap that can still be undone.
    pub unconfirmed: Option<Unconfirmed>,
}

/// A complete checkpoint or savepoint, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Completed {
    /// Its number.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// When, in milliseconds since 1970.
    pub completed_ms: i64,
    /// From its barrier to its manifest, in milliseconds.
    pub duration_ms: i64,
    /// Length of all files that it needs.
    pub bytes: u64,
}
