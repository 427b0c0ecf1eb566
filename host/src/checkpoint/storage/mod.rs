//! Where checkpoints and prepared output lie: named files below one root, written once.

mod below;
mod disk;
mod file;
mod memory;
#[cfg(feature = "s3")]
mod object;

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::error::Result;

pub use below::Below;
pub use disk::{Disk, DiskEntry, DiskFile};
pub use file::FileStorage;
pub use memory::MemoryStorage;
#[cfg(feature = "s3")]
pub use object::ObjectStorage;

/// A file as a storage lists it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    /// Its name below the root, folders separated by `/`.
    pub name: String,
    /// Its length.
    pub bytes: u64,
}

/// Named files below one root. Names use `/`, never begin with one and hold no `..`.
///
/// A file is written once and becomes visible under its name only when it is complete and durable.
/// All methods may be called from several threads and may block on the disk or the network.
pub trait Storage: Send + Sync {
    /// Begins a file. Nobody sees it before [`StorageWriter::finish`]; a file of that name gives
    /// way then. Folders are made as needed.
    ///
    /// # Errors
    /// If the storage does not take it.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageWriter>>;

    /// Reads a file from its start.
    ///
    /// # Errors
    /// `NotFound` if there is none, or if the storage fails.
    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>>;

    /// All visible files whose names begin with `prefix`, at any depth, sorted by name.
    ///
    /// # Errors
    /// If the storage fails; a root that does not exist yet is empty.
    fn list(&self, prefix: &str) -> io::Result<Vec<Stored>>;

    /// Removes a file, and folders that it leaves empty; it is no error if there is none.
    ///
    /// # Errors
    /// If the storage fails.
    fn delete(&self, name: &str) -> io::Result<()>;

    /// Gives a file another name, in place of what has that name. Durable when it returns.
    ///
    /// # Errors
    /// `NotFound` if there is no such file, or if the storage fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Makes sure that a file that is visible is durable: whoever wrote it may have failed between
    /// the two.
    ///
    /// # Errors
    /// If the storage fails.
    fn settle(&self, name: &str) -> io::Result<()>;

    /// Removes what writers have left behind that never finished, and empty folders. Nobody may be
    /// writing there.
    ///
    /// # Errors
    /// If the storage fails.
    fn remove_unfinished(&self) -> io::Result<()>;

    /// The root as in a job file, for messages: `file:///data/checkpoints`.
    fn root(&self) -> String;
}

/// A file that is being written. One that is dropped unfinished leaves nothing visible.
pub trait StorageWriter: Send {
    /// Appends.
    ///
    /// # Errors
    /// If the storage does not take it. The file is of no use then.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Makes the file durable and then visible. When it returns, a crash cannot undo either.
    ///
    /// # Errors
    /// If the storage fails. The file may be visible then, but never in part.
    fn finish(self: Box<Self>) -> io::Result<()>;
}

/// The name of a file in a folder; the empty folder is the root.
pub fn in_folder(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// A folder of a storage, for messages; the empty folder is the root.
pub fn place_of(storage: &dyn Storage, folder: &str) -> String {
    let root = storage.root();
    if folder.is_empty() { root } else { format!("{root}/{folder}") }
}

/// Writes a whole file.
///
/// # Errors
/// Those of the storage.
pub fn put(storage: &dyn Storage, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut file = storage.create(name)?;
    file.write(bytes)?;
    file.finish()
}

/// Reads a whole file.
///
/// # Errors
/// Those of the storage.
pub fn get(storage: &dyn Storage, name: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    storage.open(name)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Opens the storage of a URL as in a job file: `memory`, `file://PATH`, `s3://BUCKET/PREFIX`, or a
/// path. Relative paths start from `folder`.
///
/// # Errors
/// If there is no such storage.
pub fn open(url: &str, folder: &Path) -> Result<Arc<dyn Storage>> {
    if url == "memory" {
        return Ok(Arc::new(MemoryStorage::default()));
    }
    if url.starts_with("s3://") {
        return open_s3(url);
    }
    let path = url.strip_prefix("file://").unwrap_or(url);
    Ok(Arc::new(FileStorage::new(&folder.join(path))))
}

#[cfg(feature = "s3")]
fn open_s3(url: &str) -> Result<Arc<dyn Storage>> {
    Ok(Arc::new(object::ObjectStorage::open(url)?))
}

#[cfg(not(feature = "s3"))]
fn open_s3(url: &str) -> Result<Arc<dyn Storage>> {
    let message = format!("cannot use {url}: this tidegate was built without S3");
    Err(crate::error::Error::input(message).hint("build it with the cargo feature s3"))
}
