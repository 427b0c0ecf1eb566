//! What a run takes from the world outside, so that a simulation can bring its own.

use std::path::Path;
use std::sync::Arc;

use crate::checkpoint::{Storage, storage};
use crate::env::{Clock, SystemClock};
use crate::error::Result;
use crate::flow::{Lanes, ThreadLanes};

/// Opens storages by name.
pub trait Storages: Send + Sync {
    /// The storage of a URL as in a job file; paths in it are relative to `folder`.
    ///
    /// # Errors
    /// If there can be no such storage.
    fn open(&self, url: &str, folder: &Path) -> Result<Arc<dyn Storage>>;
}

/// Clock, storage and background work of a run.
#[derive(Clone)]
pub struct Environment {
    /// Tells processing time.
    pub clock: Arc<dyn Clock>,
    /// Opens checkpoint storages and the folders of sinks.
    pub storages: Arc<dyn Storages>,
    /// Does what tasks must not wait for.
    pub lanes: Arc<dyn Lanes>,
    /// No other run of this job has the same: part of the names of files that checkpoints share.
    pub run: String,
}

impl Environment {
    /// The machine's.
    pub fn of_this_machine() -> Self {
        let clock = SystemClock;
        let run = format!("{:x}-{:x}", clock.now_ms(), std::process::id());
        Self {
            clock: Arc::new(clock),
            storages: Arc::new(RealStorages),
            lanes: Arc::new(ThreadLanes),
            run,
        }
    }
}

struct RealStorages;

impl Storages for RealStorages {
    fn open(&self, url: &str, folder: &Path) -> Result<Arc<dyn Storage>> {
        storage::open(url, folder)
    }
}
