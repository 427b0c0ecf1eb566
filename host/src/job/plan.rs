//! A job that has been checked: every id resolved, every component compiled, every number in range.
//!
//! `spec` is what the user wrote, this is what `run` builds. Made by `check`, never by hand.

mod files;
pub mod kafka;
mod mysql;

use std::path::PathBuf;
use std::time::Duration;

pub use files::{
    Compression, FileShape, FileSourcePlan, OnClose, RetryPlan, S3, SocketPlan, is_in_bucket,
};
pub use mysql::{MysqlServerPlan, MysqlSinkPlan, MysqlSourcePlan, MysqlTls};

use crate::checkpoint::Policy;
use crate::model::{Format, Limits, Ttl};
use crate::wasm::Component;

/// A checked job.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The job's name.
    pub name: String,
    /// The folder of the job file, which relative paths start from; empty = where the program runs.
    pub folder: PathBuf,
    /// Key groups, fixed for the life of the job.
    pub max_parallelism: u32,
    /// Where state lives.
    pub state: StatePlan,
    /// When and where checkpoints are taken; none = the job takes none.
    pub checkpoint: Option<CheckpointPlan>,
    /// What happens after a failure.
    pub restart: RestartPlan,
    /// Where nodes put what they could not process: one file a node and partition.
    pub dead_letters: PathBuf,
    /// Sources, in the order of the job file.
    pub sources: Vec<SourcePlan>,
    /// Operators, each after all that it reads from.
    pub operators: Vec<OperatorPlan>,
    /// Sinks, in the order of the job file.
    pub sinks: Vec<SinkPlan>,
    /// What the user should know although the job runs.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Whether a record counts in state exactly once after a recovery.
    pub fn is_exactly_once(&self) -> bool {
        let mode = self.checkpoint.as_ref().map(|checkpoint| checkpoint.mode);
        mode.unwrap_or_default() == CheckpointMode::ExactlyOnce
    }
}

/// One output of one node, from which operators and sinks read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// Index into `Plan::sources`.
    Source(usize),
    /// Index into `Plan::operators`, and of the output in the function's declaration.
    Operator(usize, usize),
}

/// A source. It is read by one reader, so its order is the order of arrival.
#[derive(Debug, Clone)]
pub struct SourcePlan {
    /// The id in the job file.
    pub id: String,
    /// What to read.
    pub connector: SourceConnector,
    /// How records are written.
    pub format: Format,
    /// Where the event time of a record is, if it has one.
    pub timestamp: Option<TimestampPlan>,
    /// How far the watermark stays behind the highest event time, in milliseconds. 0 = monotonous.
    pub out_of_orderness_ms: i64,
    /// After how long without records the source stops holding watermarks back; none = never.
    pub idle_after: Option<Duration>,
    /// What becomes of a line that cannot be a record.
    pub malformed: MalformedPolicy,
    /// The longest line in bytes; a longer one is malformed. Default 1 MiB.
    pub line_bytes_max: usize,
}

/// What a source reads.
#[derive(Debug, Clone)]
pub enum SourceConnector {
    /// A file, or the files of a directory or below a prefix of a bucket.
    File(FileSourcePlan),
    /// Standard input.
    Stdin,
    /// Lines that a server sends.
    Socket(SocketPlan),
    /// Records of topics of Kafka.
    Kafka(Box<kafka::KafkaSourcePlan>),
    /// Made-up records.
    Generator(GeneratorPlan),
    /// Records that a function makes.
    Function(FunctionSourcePlan),
    /// Rows of a database.
    Mysql(MysqlSourcePlan),
}

/// A source function.
#[derive(Debug, Clone)]
pub struct FunctionSourcePlan {
    /// The function, compiled.
    pub component: Component,
    /// Parameters of the job file as text.
    pub params: Vec<(String, String)>,
    /// What the function may use.
    pub limits: Limits,
}

/// Made-up records, the same for the same settings.
#[derive(Debug, Clone)]
pub struct GeneratorPlan {
    /// What each record looks like.
    pub shape: GeneratorShape,
    /// Records in all; none = without end.
    pub count: Option<u64>,
    /// Records a second; none = as fast as they are taken.
    pub rate: Option<u64>,
    /// Same seed, same records. Default 0.
    pub seed: u64,
    /// Distinct keys. Default 1000, of the shapes of the source document 4. Some are far more
    /// frequent than others.
    pub keys: u64,
    /// Event time of the first record, in milliseconds. Default 0.
    pub start_ms: i64,
    /// Event time between two records, in milliseconds. Default 1.
    pub step_ms: i64,
}

/// The records that the generator knows to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GeneratorShape {
    /// `user,url,timestamp_ms`
    Clicks,
    /// `id,unix_seconds,temperature`
    Sensors,
    /// The clicks of the source document: `Mary,./home,timestamp_ms`
    NamedClicks,
    /// The user events of the source document: JSON with `userID`, `eventTime`, `eventType` and
    /// `productID`
    UserEvents,
}

impl GeneratorShape {
    /// The word of the job file.
    pub fn word(self) -> &'static str {
        match self {
            Self::Clicks => "clicks",
            Self::Sensors => "sensors",
            Self::NamedClicks => "named-clicks",
            Self::UserEvents => "user-events",
        }
    }

    /// How its records are written.
    pub fn format(self) -> Format {
        match self {
            Self::Clicks | Self::Sensors | Self::NamedClicks => Format::Csv,
            Self::UserEvents => Format::Json,
        }
    }

    /// Distinct keys of a generator that does not say how many.
    pub fn keys_default(self) -> u64 {
        match self {
            Self::Clicks | Self::Sensors => 1000,
            Self::NamedClicks | Self::UserEvents => 4,
        }
    }
}

/// How a record's event time is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimestampPlan {
    /// Which field.
    pub field: Field,
    /// How to read it.
    pub unit: TimeUnit,
}

/// The unit of an integer event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeUnit {
    Seconds,
    Milliseconds,
    Microseconds,
    Nanoseconds,
}

/// A field of a record: by position in CSV and comma-separated lines, by name in JSON.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// From 0.
    Index(usize),
    /// The name of a top-level field.
    Name(String),
}

/// What becomes of a record that cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MalformedPolicy {
    /// The job fails and says where the record is.
    #[default]
    Fail,
    /// The record is counted, the first of them shown, and left out.
    Skip,
    /// The record is counted and written, with its error, to the dead-letter file of the node.
    DeadLetter,
}

/// What becomes of a record at which a function faults: traps, fails or goes past a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FaultPolicy {
    /// The job fails.
    #[default]
    Fail,
    /// The record is isolated and written, with its fault, to the dead-letter file of the node.
    DeadLetter,
}

/// An operator.
#[derive(Debug, Clone)]
pub struct OperatorPlan {
    /// The id in the job file.
    pub id: String,
    /// Its function, compiled.
    pub component: Component,
    /// How many partitions.
    pub parallelism: u32,
    /// One for each input that the function declares, in that order.
    pub inputs: Vec<InputPlan>,
    /// Parameters of the job file as text.
    pub params: Vec<(String, String)>,
    /// What the job file says of how long states live, by name.
    pub ttl_written: Vec<(String, Option<Ttl>)>,
    /// For each declared state how long it lives: as declared, or as the job file says.
    pub ttl: Vec<Option<Ttl>>,
    /// What the function may use.
    pub limits: Limits,
    /// What becomes of records that it cannot decode.
    pub malformed: MalformedPolicy,
    /// What becomes of records at which it faults.
    pub on_fault: FaultPolicy,
}

/// An edge into an operator.
#[derive(Debug, Clone)]
pub struct InputPlan {
    /// Where the records come from.
    pub from: Upstream,
    /// How they are written there.
    pub format: Format,
    /// Which partition gets which.
    pub partition: Partitioning,
}

/// Which partition of an operator gets a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Partitioning {
    /// The one that owns the key group of this field.
    Key(Field),
    /// The one that owns the key group of the key that the function extracts.
    KeyByFunction,
    /// The partition of the same index; both sides have equally many.
    Forward,
    /// Each in turn.
    Rebalance,
    /// All of them.
    Broadcast,
}

/// A sink. It runs within the node that it reads from, with as many partitions.
#[derive(Debug, Clone)]
pub struct SinkPlan {
    /// The id in the job file.
    pub id: String,
    /// Where its records come from.
    pub from: Upstream,
    /// Where they go.
    pub connector: SinkConnector,
}

/// Where a sink writes.
#[derive(Debug, Clone)]
pub enum SinkConnector {
    /// Files in a directory, or below a prefix of a bucket, under their final names only when
    /// complete. `replace` = files of an earlier run (`part-*`) give way; otherwise a directory
    /// that holds any is refused.
    File { path: PathBuf, replace: bool, shape: FileShape },
    /// A topic of Kafka.
    Kafka(Box<kafka::KafkaSinkPlan>),
    /// Standard output, a line a record.
    Stdout,
    /// Nowhere: records are counted.
    Discard,
    /// A table of a database.
    Mysql(MysqlSinkPlan),
}

/// Where the state of keys lives while the job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatePlan {
    /// The store.
    pub backend: BackendPlan,
}

/// A state backend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackendPlan {
    /// On the heap.
    HashMap,
    /// On disk, with what is in use in memory.
    RocksDb {
        /// For caches and write buffers of all partitions together. Default 256 MiB, at least 16.
        memory_bytes: u64,
        /// Where the files lie while the job runs; none = the system's folder for temporary files.
        directory: Option<PathBuf>,
    },
}

/// When and where checkpoints are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointPlan {
    /// As in the job file: `memory`, `file://…` or `s3://…`; relative to `Plan::folder`.
    pub storage: String,
    /// When they are taken, and how many are kept.
    pub policy: Policy,
    /// Whether barriers are aligned. Default exactly-once.
    pub mode: CheckpointMode,
    /// Whether checkpoints outlive the job. Default on-cancel.
    pub retain: RetainPlan,
    /// Whether recovery takes a checkpoint although there is a newer savepoint. Default no.
    pub prefer_checkpoint: bool,
}

/// How often a record may count in state after a recovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CheckpointMode {
    /// Once: barriers are aligned.
    #[default]
    ExactlyOnce,
    /// Once or more: no channel waits for another one's barrier.
    AtLeastOnce,
}

/// What becomes of the checkpoints of a job that is cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RetainPlan {
    /// They stay.
    #[default]
    OnCancel,
    /// They are deleted.
    Never,
}

/// What happens after a failure, as in Flink.
#[derive(Debug, Clone, PartialEq)]
pub enum RestartPlan {
    /// The job ends.
    None,
    /// The job restarts so many times in all, each after the same delay.
    FixedDelay {
        /// Restarts in all. Default 1, at least 1.
        attempts: u32,
        /// Before each. Default 1 s.
        delay: Duration,
    },
    /// The job restarts unless it fails too often within a time.
    FailureRate {
        /// Failures within the interval that still lead to a restart. Default 1, at least 1.
        failures: u32,
        /// Default 1 min, above zero.
        interval: Duration,
        /// Before each restart. Default 1 s.
        delay: Duration,
    },
    /// The job restarts after delays that grow, until it has run well for a while.
    ExponentialDelay(ExponentialDelayPlan),
}

/// The numbers of exponential-delay.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ExponentialDelayPlan {
    /// Before the first restart. Default 1 s, above zero.
    pub initial_delay: Duration,
    /// The longest. Default 1 min, at least `initial_delay`.
    pub max_delay: Duration,
    /// By which each delay is longer than the one before. Default 1.5, above 1.
    pub multiplier: f64,
    /// The share of a delay by which it differs at random. Default 0.1, from 0 to 1.
    pub jitter: f64,
    /// After so long without a failure the delay is the initial one again. Default 1 h.
    pub reset_after: Duration,
    /// Restarts until the delay has been reset; none = any number. Default none, but see
    /// [`RestartPlan::with_checkpoints`].
    pub attempts: Option<u32>,
}

/// How many restarts a job gets that takes checkpoints and does not say how it restarts.
const ATTEMPTS_WITH_CHECKPOINTS: u32 = 20;

impl RestartPlan {
    /// The strategy of a job that takes checkpoints and names none: exponential-delay with Flink's
    /// defaults, but not for ever. 20 attempts take about 12 minutes: enough for a storage service
    /// to come back, and a failure that returns each time ends the job while somebody is looking.
    pub fn with_checkpoints() -> Self {
        Self::ExponentialDelay(ExponentialDelayPlan {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(60),
            multiplier: 1.5,
            jitter: 0.1,
            reset_after: Duration::from_secs(3600),
            attempts: Some(ATTEMPTS_WITH_CHECKPOINTS),
        })
    }
}
