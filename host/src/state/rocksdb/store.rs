//! The states of one partition in one RocksDB.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs, io};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::properties::{
    IS_WRITE_STOPPED, NUM_IMMUTABLE_MEM_TABLE, PropName, num_files_at_level,
};
use rocksdb::{DB, ErrorKind, Options, WaitForCompactOptions, WriteBatch, WriteOptions};

use super::failure::{failed, no_key, unusable};
use super::frozen::View;
use super::{Memory, key, options};
use crate::error::{Error, Result};
use crate::model::Packed;
use crate::state::{
    Freezing, FrozenEntries, Lifetimes, LocalFile, LocalTables, Scanned, Store, StoredKey,
};

/// The only column family. Multi-get asks for it by name.
const COLUMN_FAMILY: &str = "default";

/// A batch is written when it has grown to so many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// How often to look whether a wait is over, in microseconds.
const WAIT_MICROS: u64 = 10_000;

/// A RocksDB in a folder of its own.
pub struct RocksDbStore {
    pub(super) db: Arc<DB>,
    pub(super) folder: PathBuf,
    pub(super) options: Options,
    write_options: WriteOptions,
    /// The keys of one `load`.
    keys: Packed,
    /// How often tables have been frozen.
    frozen: u32,
    /// The last time, if it is not known to have been done.
    freezing: Option<Freezing>,
}

impl RocksDbStore {
    /// An empty store in a folder that is not there yet. What has expired goes when files are
    /// compacted.
    ///
    /// # Errors
    /// If the folder holds a store, or the disk fails.
    pub fn create(folder: &Path, memory: &Memory, lifetimes: &Lifetimes) -> Result<Self> {
        let mut options = options::for_store(memory, lifetimes);
        options.create_if_missing(true);
        options.set_error_if_exists(true);
        Self::with_options(folder, options).map_err(|cause| failed("create", folder, cause))
    }

    /// A store that goes on from the files of a checkpoint, which lie in the folder under the names
    /// that RocksDB gave them. They may be hard links: the store replaces files and changes none.
    ///
    /// # Errors
    /// Of kind `Corruption` if the files are not those of a whole checkpoint; if the disk fails.
    pub fn open(folder: &Path, memory: &Memory, lifetimes: &Lifetimes) -> Result<Self> {
        let options = options::for_store(memory, lifetimes);
        Self::with_options(folder, options).map_err(|cause| unusable(folder, cause))
    }

    fn with_options(folder: &Path, options: Options) -> Result<Self, rocksdb::Error> {
        let families = [(COLUMN_FAMILY, options.clone())];
        Ok(Self {
            db: Arc::new(DB::open_cf_with_opts(&options, folder, families)?),
            folder: folder.to_owned(),
            options,
            write_options: options::of_writes(),
            keys: Packed::default(),
            frozen: 0,
            freezing: None,
        })
    }

    /// Compacts all files when it is called, as RocksDB does by itself in the course of time.
    #[cfg(test)]
    pub(in crate::state) fn compaction(&self) -> Box<dyn Fn()> {
        let db = Arc::clone(&self.db);
        Box::new(move || db.compact_range::<&[u8], &[u8]>(None, None))
    }

    fn write_batch(&mut self, changes: &[(StoredKey<'_>, Option<&[u8]>)]) -> Result<()> {
        let mut key = Vec::new();
        loop {
            let mut batch = WriteBatch::default();
            for (stored, cell) in changes {
                key.clear();
                key::push(&mut key, *stored);
                match cell {
                    Some(cell) => batch.put(&key, cell),
                    None => batch.delete(&key),
                }
            }
            match self.db.write_opt(batch, &self.write_options) {
                Err(cause) if cause.kind() == ErrorKind::Incomplete => {
                    wait_while(&self.db, "write", is_full)?;
                }
                done => return done.map_err(|cause| failed("write", &self.folder, cause)),
            }
        }
    }
}

/// Waits while RocksDB would. If a flush or compaction fails because the disk is full, RocksDB
/// tries again until there is room, and whoever waits within RocksDB waits as long. So nobody does:
/// this ends with the first failure.
fn wait_while(db: &DB, verb: &str, is_busy: impl Fn(&DB) -> bool) -> Result<()> {
    let mut options = WaitForCompactOptions::default();
    options.set_timeout(WAIT_MICROS);
    while is_busy(db) {
        match db.wait_for_compact(&options) {
            Err(cause) if cause.kind() == ErrorKind::TimedOut => {}
            done => done.map_err(|cause| failed(verb, db.path(), cause))?,
        }
    }
    Ok(())
}

fn is_full(db: &DB) -> bool {
    count(db, IS_WRITE_STOPPED) != 0
}

/// Whether RocksDB would wait before it begins a flush.
fn is_flushing(db: &DB) -> bool {
    count(db, NUM_IMMUTABLE_MEM_TABLE) > 0
        || count(db, &num_files_at_level(0)) + 1 >= options::NEW_FILES_MAX
}

/// A number that RocksDB knows of itself.
fn count(db: &DB, property: &PropName) -> u32 {
    let value = db.property_value(property).ok().flatten();
    value.and_then(|value| value.parse().ok()).expect("every RocksDB has these properties")
}

/// Makes a store's files up to now appear in another folder, as hard links.
fn freeze(db: &DB, folder: PathBuf) -> Result<LocalTables> {
    wait_while(db, "freeze", is_flushing)?;
    let mut tables = LocalTables { folder, files: Vec::new() };
    Checkpoint::new(db)
        .and_then(|checkpoint| checkpoint.create_checkpoint(&tables.folder))
        .map_err(|cause| failed("freeze", db.path(), cause))?;
    tables.files = files_of(&tables.folder).map_err(|cause| {
        let message = format!("cannot list {}", tables.folder.display());
        Error::storage(message).caused_by(cause)
    })?;
    Ok(tables)
}

impl Store for RocksDbStore {
    fn load(
        &mut self,
        wanted: &[StoredKey<'_>],
        found: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<()> {
        self.keys.clear();
        for stored in wanted {
            key::push(&mut self.keys.bytes, *stored);
            self.keys.seal();
        }
        let family = self.db.cf_handle(COLUMN_FAMILY).expect("it was opened by this name");
        let is_sorted = false;
        let cells = self.db.batched_multi_get_cf(family, self.keys.iter(), is_sorted);
        for (index, cell) in cells.into_iter().enumerate() {
            match cell {
                Ok(Some(cell)) => found(index, &cell),
                Ok(None) => {}
                Err(cause) => return Err(failed("read", &self.folder, cause)),
            }
        }
        Ok(())
    }

    fn scan(&mut self, after: Option<&[u8]>, keys_max: usize) -> Result<Scanned> {
        let mut entries = self.db.raw_iterator_opt(options::of_scans());
        match after {
            Some(after) => entries.seek([after, &[0]].concat()),
            None => entries.seek_to_first(),
        }
        let mut keys: Vec<Vec<u8>> = Vec::new();
        let mut last = None;
        while let Some(bytes) = entries.key() {
            if keys.len() >= keys_max {
                return Ok((keys, last));
            }
            let stored = key::read(bytes).ok_or_else(|| no_key(&self.folder))?;
            if keys.last().is_none_or(|key| key != stored.key) {
                keys.push(stored.key.to_vec());
            }
            last = Some(bytes.to_vec());
            entries.next();
        }
        entries.status().map_err(|cause| failed("read", &self.folder, cause))?;
        Ok((keys, None))
    }

    fn write(&mut self, changes: &mut [(StoredKey<'_>, Option<&[u8]>)]) -> Result<()> {
        self.finish_freezing();
        // Neighbours in a write buffer are found faster one after the other.
        changes.sort_by_key(|(key, _)| *key);
        let mut start = 0;
        let mut bytes = 0;
        for end in 1..=changes.len() {
            let (stored, cell) = changes[end - 1];
            bytes += stored.key.len() + cell.map_or(0, <[u8]>::len);
            if bytes >= BATCH_BYTES || end == changes.len() {
                self.write_batch(&changes[start..end])?;
                (start, bytes) = (end, 0);
            }
        }
        Ok(())
    }

    fn freeze_tables(&mut self) -> Freezing {
        self.finish_freezing();
        let mut folder = OsString::from(&self.folder);
        folder.push(format!(".frozen-{}", self.frozen));
        self.frozen += 1;
        let db = Arc::clone(&self.db);
        let freezing = Freezing::new(move || freeze(&db, folder.into()));
        self.freezing = Some(freezing.clone());
        freezing
    }

    fn is_freezing(&self) -> bool {
        self.freezing.as_ref().is_some_and(|freezing| !freezing.is_done())
    }

    fn finish_freezing(&mut self) {
        if let Some(freezing) = self.freezing.take() {
            freezing.run();
        }
    }

    fn freeze_entries(&mut self) -> Result<Box<dyn FrozenEntries>> {
        Ok(Box::new(View::new(&self.db)))
    }
}

/// The files of a frozen store that are needed to open it, by name.
fn files_of(folder: &Path) -> io::Result<Vec<LocalFile>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // The log that nothing is written to.
        if name.ends_with(".log") {
            continue;
        }
        // RocksDB never writes to a table again, and never gives its number to another.
        let shareable = name.ends_with(".sst");
        files.push(LocalFile { name, bytes: entry.metadata()?.len(), shareable });
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}

impl fmt::Debug for RocksDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RocksDbStore").field("folder", &self.folder).finish_non_exhaustive()
    }
}
