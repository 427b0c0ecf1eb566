//! What becomes of records that cannot be processed: the job fails, or they are left out, or they
//! are written to a file. In every case they are counted and say where they came from.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::NodeMetrics;
use super::fields::excerpt;
use crate::error::{Error, Result};
use crate::job::plan::MalformedPolicy;
use crate::model::Position;
use crate::wasm::{LogLevel, LogSink};

/// How many skipped records a partition shows before it only counts.
const SHOWN_MAX: u32 = 3;

/// The dead-letter file of one partition of a node: JSON lines, made when the first letter comes,
/// appended to.
#[derive(Debug)]
pub struct DeadLetters {
    node: String,
    partition: u32,
    path: PathBuf,
    file: Option<File>,
}

/// A record or timer that could not be processed, as it is written.
#[derive(Debug, serde::Serialize)]
pub(super) struct Letter<'a> {
    /// The node that could not process it.
    pub(super) node: &'a str,
    /// And its partition.
    pub(super) partition: u32,
    /// Its key, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// Where it came from.
    pub(super) position: String,
    /// Why it could not be processed.
    pub(super) reason: &'a str,
    /// The guest's frames, innermost first.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub(super) backtrace: &'a [String],
    /// The record: text, or hexadecimal if it is not UTF-8. None for a timer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) record: Option<String>,
    /// `hex` if the record is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) encoding: Option<&'static str>,
    /// Where the record is only the beginning of a longer line, how many bytes the line has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) bytes: Option<u64>,
}

/// A record as text, or in hexadecimal.
pub(super) fn encode(record: &[u8]) -> (String, Option<&'static str>) {
    match std::str::from_utf8(record) {
        Ok(text) => (text.into(), None),
        Err(_) => (record.iter().map(|byte| format!("{byte:02x}")).collect(), Some("hex")),
    }
}

impl DeadLetters {
    /// The dead letters of partition `partition` of `node` in `directory`. Nothing is made yet.
    pub fn new(directory: &std::path::Path, node: &str, partition: u32) -> Self {
        let path = directory.join(format!("{node}-{partition}.jsonl"));
        Self { node: node.into(), partition, path, file: None }
    }

    /// The node and the partition.
    pub(super) fn node(&self) -> (&str, u32) {
        (&self.node, self.partition)
    }

    /// Writes a letter. It is in the file on return.
    pub(super) fn write(&mut self, letter: &Letter<'_>) -> Result<()> {
        let path = self.path.display().to_string();
        let failed =
            |cause| Error::storage(format!("cannot write dead letters to {path}")).caused_by(cause);
        if self.file.is_none() {
            if let Some(directory) = self.path.parent() {
                std::fs::create_dir_all(directory).map_err(failed)?;
            }
            let file = OpenOptions::new().create(true).append(true).open(&self.path);
            self.file = Some(file.map_err(failed)?);
        }
        let file = self.file.as_mut().expect("it was opened above");
        let mut line = serde_json::to_vec(letter).expect("a letter is plain data");
        line.push(b'\n');
        file.write_all(&line).map_err(failed)
    }
}

/// Deals with the malformed records of one partition of a node.
pub struct Rejects {
    policy: MalformedPolicy,
    letters: DeadLetters,
    metrics: Arc<NodeMetrics>,
    log: LogSink,
    shown: u32,
}

/// A malformed record.
#[derive(Debug)]
pub(super) struct Malformed<'a> {
    pub(super) position: Position,
    /// The record, or its beginning.
    pub(super) record: &'a [u8],
    /// If it is only the beginning, how long the line is.
    pub(super) bytes: Option<u64>,
    pub(super) key: Option<&'a [u8]>,
    pub(super) reason: &'a str,
}

impl std::fmt::Debug for Rejects {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Rejects({:?})", self.policy)
    }
}

impl Rejects {
    /// Deals with malformed records by `policy`.
    pub fn new(
        policy: MalformedPolicy,
        letters: DeadLetters,
        metrics: Arc<NodeMetrics>,
        log: LogSink,
    ) -> Self {
        Self { policy, letters, metrics, log, shown: 0 }
    }

    pub(super) fn letters(&mut self) -> &mut DeadLetters {
        &mut self.letters
    }

    /// Counts a malformed record and deals with it.
    ///
    /// # Errors
    /// If the policy is to fail, or the dead letter cannot be written.
    pub(super) fn reject(&mut self, malformed: &Malformed<'_>) -> Result<()> {
        self.metrics.malformed.fetch_add(1, Ordering::Relaxed);
        let Malformed { position, record, bytes, key, reason } = malformed;
        match self.policy {
            MalformedPolicy::Fail => {
                let node = &self.letters.node;
                let key = key.map(|key| format!(", key {}", excerpt(key))).unwrap_or_default();
                Err(Error::input(format!("{node}: malformed record at {position}{key}: {reason}"))
                    .hint(format!(
                        "the record is {}; to go on without such records, set \
                         malformed = \"skip\" or \"dead-letter\" on {node:?}",
                        excerpt(record)
                    )))
            }
            MalformedPolicy::Skip => {
                self.shown += 1;
                let node = &self.letters.node;
                match self.shown.cmp(&(SHOWN_MAX + 1)) {
                    std::cmp::Ordering::Less => {
                        let line =
                            format!("{node}: skipped {position}: {reason}: {}", excerpt(record));
                        self.log.write(LogLevel::Warn, &line);
                    }
                    std::cmp::Ordering::Equal => {
                        let line = format!(
                            "{node}: skips more malformed records; the summary counts them"
                        );
                        self.log.write(LogLevel::Warn, &line);
                    }
                    std::cmp::Ordering::Greater => {}
                }
                Ok(())
            }
            MalformedPolicy::DeadLetter => {
                let (record, encoding) = encode(record);
                let (node, partition) = (self.letters.node.clone(), self.letters.partition);
                self.letters.write(&Letter {
                    node: &node,
                    partition,
                    key: key.map(|key| String::from_utf8_lossy(key).into_owned()),
                    position: position.to_string(),
                    reason,
                    backtrace: &[],
                    record: Some(record),
                    encoding,
                    bytes: *bytes,
                })
            }
        }
    }
}
