//! What a backend on disk must do for the cells above it.

use std::fmt::{self, Debug};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use super::entry::Entry;
use crate::error::Result;
use crate::model::KeyGroup;

/// The place of one state of one key in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredKey<'a> {
    /// The key's group.
    pub group: KeyGroup,
    /// The key.
    pub key: &'a [u8],
    /// Index of the state.
    pub state: u16,
}

/// The states of one partition on disk. Cells pass as they are.
///
/// All methods fail with an error of kind `Storage` or `Corruption` if the disk does.
pub trait Store: Send + Debug {
    /// Calls `found` with the index and the cell of each of `wanted` that is there. One read for
    /// all of them.
    fn load(&mut self, wanted: &[StoredKey<'_>], found: &mut dyn FnMut(usize, &[u8]))
    -> Result<()>;

    /// The keys that lie behind a place in the store, at most so many, and the place after them;
    /// none if there are no more. Without a place, the first ones.
    fn scan(&mut self, after: Option<&[u8]>, keys_max: usize) -> Result<Scanned>;

    /// Puts cells, or removes them, all at once.
    fn write(&mut self, changes: &mut [(StoredKey<'_>, Option<&[u8]>)]) -> Result<()>;

    /// What has been written, to be frozen as files by whoever comes first: another thread, or this
    /// store when it is written to again.
    fn freeze_tables(&mut self) -> Freezing;

    /// Whether that is still to be done, so that a write would have to wait for it.
    fn is_freezing(&self) -> bool;

    /// Waits for it, or does it.
    fn finish_freezing(&mut self);

    /// Freezes what has been written, to be read by another thread.
    fn freeze_entries(&mut self) -> Result<Box<dyn FrozenEntries>>;
}

/// Some keys of a store, of which one may come again, and the place after them, if there are more.
pub type Scanned = (Vec<Vec<u8>>, Option<Vec<u8>>);

/// What a store held at one moment.
pub trait FrozenEntries: Send {
    /// Visits every entry, group by group.
    ///
    /// # Errors
    /// Those of the visit and of the disk.
    fn for_each(
        self: Box<Self>,
        visit: &mut dyn FnMut(KeyGroup, Entry<'_>) -> Result<()>,
    ) -> Result<()>;
}

/// A store's files in a folder of their own, which is removed with this value.
#[derive(Debug)]
pub struct LocalTables {
    /// The folder.
    pub folder: PathBuf,
    /// The files in it.
    pub files: Vec<LocalFile>,
}

/// One of a store's files.
#[derive(Debug, Clone)]
pub struct LocalFile {
    /// Its name in the folder.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// Whether a file of this name in this store never has other content, so that checkpoints can
    /// share it.
    pub shareable: bool,
}

impl Drop for LocalTables {
    fn drop(&mut self) {
        // What cannot be removed goes with the working folder.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// A store's files that are frozen by whoever needs them first; the others wait.
#[derive(Clone)]
pub struct Freezing(Arc<Mutex<Stage>>);

enum Stage {
    Waiting(Box<dyn FnOnce() -> Result<LocalTables> + Send>),
    Frozen(Option<Result<LocalTables>>),
}

impl Freezing {
    /// To be frozen by `freeze`, which is called once or not at all.
    pub(super) fn new(freeze: impl FnOnce() -> Result<LocalTables> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Stage::Waiting(Box::new(freeze)))))
    }

    /// Whether they have been frozen, with whatever result.
    pub(super) fn is_done(&self) -> bool {
        self.0.try_lock().is_ok_and(|stage| matches!(*stage, Stage::Frozen(_)))
    }

    /// Freezes them, unless that has been done.
    pub(super) fn run(&self) {
        let mut stage = self.stage();
        if let Stage::Waiting(_) = *stage
            && let Stage::Waiting(freeze) = std::mem::replace(&mut *stage, Stage::Frozen(None))
        {
            *stage = Stage::Frozen(Some(freeze()));
        }
    }

    /// The files.
    ///
    /// # Errors
    /// If they could not be frozen.
    ///
    /// # Panics
    /// If they have been taken before.
    pub fn take(&self) -> Result<LocalTables> {
        self.run();
        match &mut *self.stage() {
            Stage::Frozen(tables) => tables.take().expect("tables are taken once"),
            Stage::Waiting(_) => unreachable!("it has just been run"),
        }
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().expect("freezing does not panic")
    }
}

/// What lies below the cells at a barrier.
pub enum Frozen {
    /// Nothing: the cells are all there is.
    Nothing,
    /// A store's own files.
    Tables(Freezing),
    /// A store's entries.
    Entries(Box<dyn FrozenEntries>),
}

impl Debug for Frozen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Tables(_) => "Tables",
            Self::Entries(_) => "Entries",
        })
    }
}
