//! One cell of the comparison: a job with everything that is varied.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::jobs::Job;
use crate::events;

/// From this number of keys on state does not fit the budget of the backend on disk.
const MANY_KEYS: u64 = 10_000_000;

/// Who runs a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contender {
    /// The hand-written single-threaded loop.
    Native,
    /// Tidegate with the function compiled into it.
    Engine,
    /// Tidegate with the function as a component.
    Sandbox,
    /// Flink.
    Flink,
}

impl Contender {
    /// In the order in which they take turns.
    pub const ALL: [Contender; 4] =
        [Contender::Native, Contender::Engine, Contender::Sandbox, Contender::Flink];

    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Contender::Native => "native",
            Contender::Engine => "engine",
            Contender::Sandbox => "sandbox",
            Contender::Flink => "flink",
        }
    }
}

/// Where state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Backend {
    /// On the heap.
    Hashmap,
    /// On disk, under a budget of memory.
    Rocksdb,
}

impl Backend {
    /// Its word in job files, on the command line and in Flink's configuration.
    pub fn word(self) -> &'static str {
        match self {
            Backend::Hashmap => "hashmap",
            Backend::Rocksdb => "rocksdb",
        }
    }
}

/// A job with everything that is varied.
#[derive(Clone, Copy)]
pub struct Cell {
    /// The job.
    pub job: &'static Job,
    /// Where its state lives.
    pub backend: Backend,
    /// Partitions of each operator.
    pub parallelism: u32,
    /// Its input.
    pub settings: events::Settings,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, backend, parallelism, settings } = self;
        let events::Settings { events, keys, bytes } = settings;
        let (name, backend) = (job.name, backend.word());
        write!(f, "{name} on {backend}, parallelism {parallelism}, ")?;
        write!(f, "{events} events of {bytes} bytes, {keys} keys")
    }
}

impl Cell {
    /// The input files, made if they are not there.
    ///
    /// # Errors
    /// If they cannot be written.
    pub fn make_inputs(&self, folder: &Path) -> Result<Vec<PathBuf>> {
        self.job.inputs.iter().map(|input| input.make(folder, self.settings)).collect()
    }

    /// The input files, made or not.
    pub fn inputs(&self, folder: &Path) -> Vec<PathBuf> {
        self.job.inputs.iter().map(|input| input.path(folder, self.settings)).collect()
    }

    /// Whether state does not fit the budget of the backend on disk.
    pub fn has_many_keys(&self) -> bool {
        self.settings.keys >= MANY_KEYS
    }

    /// The budget of the backend on disk, the same for Tidegate and Flink.
    pub fn budget_mib(&self) -> u64 {
        if self.has_many_keys() { 64 } else { 256 }
    }

    /// The heap of Flink: what it needs for this many keys, with room for the collector.
    pub fn heap_mib(&self) -> u64 {
        if self.has_many_keys() && self.backend == Backend::Hashmap { 8192 } else { 2048 }
    }
}
