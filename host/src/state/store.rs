//! What a backend on disk must do for the cells above it.

use std::fmt::Debug;
use std::path::PathBuf;

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

    /// Freezes what has been written, as files of its own.
    fn freeze_tables(&mut self) -> Result<LocalTables>;

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

/// What lies below the cells at a barrier.
pub enum Frozen {
    /// Nothing: the cells are all there is.
    Nothing,
    /// A store's own files.
    Tables(LocalTables),
    /// A store's entries.
    Entries(Box<dyn FrozenEntries>),
}
