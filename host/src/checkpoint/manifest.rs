//! What a checkpoint or savepoint consists of.
//!
//! Written last, as one file: without it there is no checkpoint. Its first line carries format,
//! length and checksum of the JSON that follows, so that every flipped byte and every truncation
//! shows.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::hex;
use crate::error::{Error, ErrorKind, Result};
use crate::model::{Digest, Redistribution, StateKind, TimeDomain};

/// The format that this version writes, and the newest that it reads.
///
/// 2 added the components of operators, what becomes of their states, and swaps.
pub const FORMAT: u32 = 2;

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
    /// A change of an operator's function that can still be undone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swap: Option<UnconfirmedSwap>,
}

/// A swap whose new function may still give way to the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnconfirmedSwap {
    /// The operator's id.
    pub operator: String,
    /// The checkpoint at whose barrier the function changed.
    pub since: u64,
    /// The function before.
    pub previous: ComponentFile,
    /// Whether a fault of the new function brings the one before back.
    pub rolls_back: bool,
    /// Whether state is taken to another schema version, which the function before cannot read: the
    /// job then goes back to `since`, and commits nothing before the swap is confirmed.
    pub migrates: bool,
    /// What must happen before it is confirmed.
    pub confirmed_after: ConfirmAfter,
}

/// What must happen before a swap is confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConfirmAfter {
    /// So many further checkpoints must be complete.
    Checkpoints(u32),
    /// A checkpoint must be complete at this time or later, in milliseconds since 1970.
    TimeMs(i64),
}

/// A function's component, as it lies in the storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComponentFile {
    /// The SHA-256 of its bytes.
    pub sha256: Digest,
    /// Where it lies.
    pub file: FileRef,
}

impl Kind {
    /// The word for people.
    pub fn word(self) -> &'static str {
        match self {
            Self::Checkpoint => "checkpoint",
            Self::Savepoint => "savepoint",
        }
    }
}

/// What the first line of a manifest begins with.
const MAGIC: &str = "tidegate-manifest";

impl Manifest {
    /// The file: a line of format, length and checksum, then JSON.
    pub fn encode(&self) -> Vec<u8> {
        let mut json = serde_json::to_vec_pretty(self).expect("a manifest is plain data");
        json.push(b'\n');
        let mut file = first_line(FORMAT, &json).into_bytes();
        file.extend_from_slice(&json);
        file
    }

    /// Reads a manifest; `place` is its name in messages.
    ///
    /// # Errors
    /// `Corruption` if these are not the bytes that were written; `Input` if a newer version wrote
    /// them.
    pub fn decode(file: &[u8], place: &str) -> Result<Self> {
        let corrupt = |what: &str| {
            let message = format!("{place} is not what was written: {what}");
            Error::new(ErrorKind::Corruption, message)
        };
        let end = file.iter().position(|&byte| byte == b'\n');
        let end = end.ok_or_else(|| corrupt("its first line does not end"))?;
        let (line, json) = file.split_at(end + 1);
        let words = std::str::from_utf8(line).map_err(|_| corrupt("its first line is no text"))?;
        let format = words.strip_prefix(MAGIC).and_then(|rest| rest.split(' ').nth(1));
        let format: Option<u32> = format.and_then(|format| format.parse().ok());
        let Some(format) = format else {
            return Err(corrupt("it does not begin as a manifest"));
        };
        // Checked first, so that a flipped digit of the format is not taken for a newer one.
        if words != first_line(format, json) {
            return Err(corrupt("its length or checksum does not fit its first line"));
        }
        if format > FORMAT {
            let message = format!(
                "{place} has format {format}, written by a newer tidegate; this one reads up to \
                 {FORMAT}"
            );
            return Err(Error::input(message).hint("use the newer tidegate"));
        }
        serde_json::from_slice(json).map_err(|cause| corrupt("its JSON").caused_by(cause))
    }

    /// Whether it is of this job.
    ///
    /// # Errors
    /// If it is of another.
    pub fn check_job(&self, job: &str) -> Result<()> {
        if self.job == job {
            return Ok(());
        }
        let message =
            format!("{} {} is of job {:?}, not of {job:?}", self.kind.word(), self.id, self.job);
        let hint = "give each job a checkpoint.storage of its own, or set job.name to the name \
                    that the job had";
        Err(Error::input(message).hint(hint))
    }

    /// All files that it needs.
    pub fn files(&self) -> impl Iterator<Item = &FileRef> {
        let partitions = self.operators.iter().flat_map(|operator| &operator.partitions);
        let state = partitions.flat_map(|partition| {
            let tables = partition.tables.iter().flatten().map(|table| &table.file);
            std::iter::once(&partition.entries).chain(tables).chain(&partition.operator_entries)
        });
        state.chain(self.components().map(|component| &component.file))
    }

    /// The components that it needs.
    pub fn components(&self) -> impl Iterator<Item = &ComponentFile> {
        let previous = self.swap.iter().map(|swap| &swap.previous);
        self.operators.iter().filter_map(|operator| operator.component.as_ref()).chain(previous)
    }
}

fn first_line(format: u32, json: &[u8]) -> String {
    // The checksum covers the format too.
    let mut crc = crc32fast::Hasher::new();
    crc.update(&format.to_le_bytes());
    crc.update(json);
    format!("{MAGIC} {format} {} {:08x}\n", json.len(), crc.finalize())
}

/// What a manifest stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// Of a source that reads several splits at a time: the place in each, after which nothing was
    /// sent on. Empty before it knows its splits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub offsets: BTreeMap<String, u64>,
    /// Of a source whose records a function makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<FunctionPosition>,
    /// Of a source that watches a directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<WatchedPosition>,
}

/// Which files of a directory have been read that is watched: each as
/// `NANOSECONDS_OF_ITS_LAST_CHANGE BYTES NAME`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WatchedPosition {
    /// Those that are named: at most 10,000.
    pub read: Vec<String>,
    /// All that were changed no later than this one, and in that moment do not come after it by
    /// name, count as read. Its bytes mean nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
}

/// Where a source function goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionPosition {
    /// Its operator states; none if it had not been polled.
    pub states: Option<Vec<FunctionState>>,
    /// Records that it had made and that had not been sent on, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "hex::strings")]
    pub records: Vec<Vec<u8>>,
    /// When it is to be polled again, in milliseconds; none = at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<i64>,
    /// Whether it had come to its end.
    #[serde(default)]
    pub has_ended: bool,
}

/// An operator state of a source function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FunctionState {
    /// Its name.
    pub name: String,
    /// What it holds, encoded as the state of a key, in hexadecimal digits.
    #[serde(with = "hex")]
    pub value: Vec<u8>,
}

/// What an operator remembers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorState {
    /// The id in the job file.
    pub id: String,
    /// The function that goes on from here; none in format 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub component: Option<ComponentFile>,
    /// Its states, column by column: entries refer to them by index.
    pub states: Vec<DeclaredState>,
    /// The operator states, those that it declares first: entries refer to them by index.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operator_states: Vec<DeclaredOperatorState>,
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
    /// The clock of the access times before its values, if it has a time to live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamped: Option<TimeDomain>,
    /// The version of its encoding.
    #[serde(default = "first_version")]
    pub schema_version: u32,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    /// What becomes of it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub fate: DeclaredFate,
}

/// What becomes of a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeclaredFate {
    /// The function declares it.
    #[default]
    Live,
    /// What is left of it belongs to a state of the same name, in another form.
    Moves,
    /// Kept for the function before, which may come back.
    Kept,
    /// Nobody wants it any more; what is left is being removed.
    Gone,
}

fn first_version() -> u32 {
    1
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A declared operator state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeclaredOperatorState {
    /// Its name.
    pub name: String,
    /// Who gets what of it at another parallelism.
    pub redistribution: Redistribution,
    /// The version of its encoding.
    #[serde(default = "first_version")]
    pub schema_version: u32,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub type_name: String,
    /// Whether it is only kept for the function before, which may come back.
    #[serde(default, skip_serializing_if = "is_default")]
    pub kept: bool,
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
    /// Operator states in the format of `state_file`, in a chunk of key group 0, under no key; none
    /// if the partition had none yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator_entries: Option<FileRef>,
    /// Whether some of its state is not where the function wants it: what is left of states that
    /// move or are gone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub unsettled: bool,
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
    /// Complete, durable records that are written to an external system in one transaction with
    /// the other logs of the same barrier.
    Log {
        /// The sink's id.
        sink: String,
        /// The partition that wrote it.
        partition: u32,
        /// The barrier that ended it.
        checkpoint: u64,
        /// The attempt that wrote it. No other has the same, also after the job has begun anew.
        attempt: String,
        /// The log, in the job's checkpoint storage also if the manifest is a savepoint's.
        file: FileRef,
    },
    /// Earlier output in the sink's folder gives way: with the first commit of a run.
    Replace {
        /// The sink's id.
        sink: String,
        /// Only output of later checkpoints than this one gives way: the job has gone back to it.
        /// 0 = all.
        #[serde(default, skip_serializing_if = "is_default")]
        after: u64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::damage::each_damage;

    fn manifest() -> Manifest {
        let file = FileRef { name: "chk-7/count-0.state".into(), bytes: 120, crc32: 0xdead_beef };
        Manifest {
            id: 7,
            kind: Kind::Checkpoint,
            job: "pv".into(),
            completed_ms: 1_700_000_000_000,
            written_by: "tidegate 0.1.0".into(),
            max_parallelism: 128,
            sources: vec![SourceState {
                id: "clicks".into(),
                position: SourcePosition {
                    done: vec!["a.csv".into()],
                    split: Some("b.csv".into()),
                    offset: u64::MAX,
                    line: 3,
                    ..SourcePosition::default()
                },
                watermark: Some(-5),
            }],
            operators: vec![OperatorState {
                id: "count".into(),
                component: None,
                states: vec![DeclaredState {
                    name: "count".into(),
                    kind: StateKind::Value,
                    stamped: None,
                    schema_version: 1,
                    type_name: String::new(),
                    fate: DeclaredFate::Live,
                }],
                operator_states: Vec::new(),
                partitions: vec![PartitionSnapshot {
                    first_group: 0,
                    end_group: 128,
                    watermark: None,
                    entries: file.clone(),
                    tables: Some(vec![TableFile { name: "000012.sst".into(), file }]),
                    operator_entries: None,
                    unsettled: false,
                }],
            }],
            outputs: vec![
                PreparedOutput::Replace { sink: "out".into(), after: 0 },
                PreparedOutput::File {
                    sink: "out".into(),
                    from: ".part-0-after-6".into(),
                    to: "part-0-7".into(),
                },
            ],
            swap: None,
        }
    }

    /// With all that format 2 added.
    fn manifest_2() -> Manifest {
        let mut manifest = manifest();
        let file = FileRef { name: "shared/7-x-count.wasm".into(), bytes: 9, crc32: 1 };
        let component = ComponentFile { sha256: Digest::of(b"wasm"), file };
        let operator = &mut manifest.operators[0];
        operator.component = Some(component.clone());
        operator.partitions[0].unsettled = true;
        operator.states.push(DeclaredState {
            schema_version: 2,
            type_name: "u64".into(),
            fate: DeclaredFate::Moves,
            ..operator.states[0].clone()
        });
        manifest.swap = Some(UnconfirmedSwap {
            operator: "count".into(),
            since: 6,
            previous: component,
            rolls_back: true,
            migrates: true,
            confirmed_after: ConfirmAfter::Checkpoints(2),
        });
        manifest
    }

    #[test]
    fn reads_what_it_writes() {
        for manifest in [manifest(), manifest_2()] {
            let file = manifest.encode();
            assert_eq!(Manifest::decode(&file, "here").expect("whole"), manifest);
        }
    }

    #[test]
    fn finds_every_flipped_bit_and_every_truncation() {
        let file = manifest().encode();
        each_damage(&file, |damaged, what| {
            let error = Manifest::decode(damaged, "here").expect_err(what);
            assert_eq!(error.kind, ErrorKind::Corruption, "{what}: {error}");
        });
    }

    #[test]
    fn says_that_a_newer_version_wrote_it() {
        let json = b"{}\n";
        let mut file = first_line(FORMAT + 1, json).into_bytes();
        file.extend_from_slice(json);
        let error = Manifest::decode(&file, "here").expect_err("it is newer");
        assert_eq!(error.kind, ErrorKind::Input);
        assert!(error.message.contains("written by a newer tidegate"), "{error}");
    }

    /// The format of version 1 can be read for ever.
    #[test]
    fn reads_format_1() {
        let file = include_bytes!("fixtures/manifest-1");
        assert_eq!(Manifest::decode(file, "the fixture").expect("it is valid"), manifest());
    }

    /// The format of version 2 can be read for ever.
    #[test]
    fn reads_format_2() {
        let file = include_bytes!("fixtures/manifest-2");
        assert_eq!(Manifest::decode(file, "the fixture").expect("it is valid"), manifest_2());
    }
}
