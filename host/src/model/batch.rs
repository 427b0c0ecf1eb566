//! Records on their way between two nodes of a job.

use std::sync::Arc;

#[cfg(doc)]
use super::TIME_NONE;
use super::{KeyHash, Packed};

/// Where a record came from: the split (a file, a generator) and its place there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The split, as people name it: `events.csv`, `generator clicks`.
    pub split: Arc<str>,
    /// The line, counted from 1; 0 if the record has no one origin, as a timer's output.
    pub line: u64,
}

impl std::fmt::Display for Position {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.split),
            line => write!(f, "{}:{line}", self.split),
        }
    }
}

/// A record of a batch, without its key.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Without its line end.
    pub value: &'a [u8],
    /// Its event time; [`TIME_NONE`] if it has none.
    pub timestamp: i64,
    /// The watermark in force before it.
    pub watermark: i64,
    /// Its line within its split; 0 if it has no one origin.
    pub line: u64,
}

/// Records in order of arrival, in columns of equal length.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The records, without line ends.
    pub values: Packed,
    /// Event times; [`TIME_NONE`] where a record has none.
    pub timestamps: Vec<i64>,
    /// The watermark in force before each record. Never decreases.
    pub watermarks: Vec<i64>,
    /// The keys, or empty on an edge without keys.
    pub keys: Packed,
    /// The hash of each key, or empty on an edge without keys.
    pub hashes: Vec<KeyHash>,
    /// The line of each record within `split`; 0 where it has no one origin.
    pub lines: Vec<u64>,
    /// Where the records came from.
    pub split: Option<Arc<str>>,
}

impl Batch {
    /// How many records there are.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Removes all records and keeps the memory.
    pub fn clear(&mut self) {
        self.values.clear();
        self.timestamps.clear();
        self.watermarks.clear();
        self.keys.clear();
        self.hashes.clear();
        self.lines.clear();
    }

    /// Record `index`.
    pub fn record(&self, index: usize) -> Record<'_> {
        Record {
            value: self.values.get(index),
            timestamp: self.timestamps[index],
            watermark: self.watermarks[index],
            line: self.lines[index],
        }
    }

    /// Adds a record without a key.
    #[inline]
    pub fn push(&mut self, record: Record<'_>) {
        self.values.push(record.value);
        self.timestamps.push(record.timestamp);
        self.watermarks.push(record.watermark);
        self.lines.push(record.line);
    }

    /// Where record `index` came from.
    pub fn position(&self, index: usize) -> Position {
        let split = self.split.clone().unwrap_or_else(|| "an earlier operator's timers".into());
        Position { split, line: self.lines[index] }
    }
}
