//! What a checkpoint or savepoint consists of.
//!
//! Written last, as one file: without it there is no checkpoint. Its first line carries format,
//! length and checksum of the JSON that follows, so that every flipped byte and every truncation
//! shows.

use serde::{Deserialize, Serialize};

use crate::model::StateKind;

/// The format that this version writes, and the newest that it reads.
pub const FORMAT: u32 = 1;

/// All that is needed to go on from one moment of a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Rises with every checkpoint and savepoint of a job, also across restarts. From 1.
    pub id: u64,
    /// What it is.
    pub kind: Kind,
    /// The job's name.
    pub job: String,
    /// When it was completed, in milliseconds since 1970.
    pub completed_ms: i64,
    /// The program that wrote it: `tidegate 0.1.0`.
    pub written_by: String,
    /// Key groups of the job; the same for its whole life.
    pub max_parallelism: u32,
    /// Where each source goes on.
    pub sources: Vec<SourceState>,
    /// What each operator remembers.
    pub operators: Vec<OperatorState>,
    /// Output that was complete when the barrier passed, and is committed once this manifest is
    /// visible: again after a crash between the two.
    pub outputs: Vec<PreparedOutput>,
}

/// What a manifest stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Taken by the job for itself, deleted by it.
    Checkpoint,
    /// Taken because somebody asked, self-contained, never deleted by the job.
    Savepoint,
}

/// Where a source goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// The id in the job file.
    pub id: String,
    /// What comes next.
    pub position: SourcePosition,
    /// The watermark after the last record, in milliseconds; none before the first.
    pub watermark: Option<i64>,
}

/// The place in a source's splits after the last record that was sent on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcePosition {
    /// Splits that have been read to their end.
    pub done: Vec<String>,
    /// The split that is being read.
    pub split: Option<String>,
    /// Where in it the next record begins: bytes in a file, the state of the generator.
    pub offset: u64,
    /// Lines or records of the split that have been taken.
    pub line: u64,
}

/// What an operator remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorState {
    /// The id in the job file.
    pub id: String,
    /// The states that its function declared, in that order: entries refer to them by index.
    pub states: Vec<DeclaredState>,
    /// One for each partition.
    pub partitions: Vec<PartitionSnapshot>,
}

/// A declared state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredState {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: StateKind,
}

/// What one partition of an operator remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartitionSnapshot {
    /// The first of its key groups.
    pub first_group: u32,
    /// The key group after its last.
    pub end_group: u32,
    /// The watermark in force; none before the first.
    pub watermark: Option<i64>,
    /// States and timers in the format of `state_file`. With `tables`, only timers.
    pub entries: FileRef,
    /// RocksDB's own files, if the states are in them: a checkpoint of the rocksdb backend.
    pub tables: Option<Vec<TableFile>>,
}

/// A file of RocksDB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableFile {
    /// The name that RocksDB gave it.
    pub name: String,
    /// Where it lies.
    pub file: FileRef,
}

/// A file that a manifest needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Below the root of the storage; for a savepoint, below its folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// CRC-32 of all of it.
    pub crc32: u32,
}

/// Output of a sink that waits to be committed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum PreparedOutput {
    /// A complete, durable file that becomes visible by a rename within its folder.
    File {
        /// The sink's id.
        sink: String,
        /// The hidden name.
        from: String,
        /// The name that readers see.
        to: String,
    },
    /// Earlier output in the sink's folder gives way: with the first commit of a run.
    Replace {
        /// The sink's id.
        sink: String,
    },
}
