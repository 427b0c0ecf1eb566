//! The `rocksdb` backend: one RocksDB a partition, below the cells as a store.
//!
//! Keys are key group (u16, big-endian), state (u16, big-endian), key: a checkpoint's entries of a
//! key group lie together, and rescaling reads ranges. Nothing here is durable by itself: a machine
//! that is lost is restored from a checkpoint, so there is no log.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, Direction, IteratorMode, LogLevel, Options,
    WriteBatch, WriteBufferManager, WriteOptions,
};

use super::entry::{Entry, EntryKind};
use super::store::{FrozenEntries, LocalFile, LocalTables, Store, StoredKey};
use crate::error::{Error, ErrorKind, Result};
use crate::model::KeyGroup;

/// The one column family: states differ by key.
const FAMILY: &str = "default";

/// A batch of writes is cut when it has grown to so many bytes.
const BATCH_BYTES: usize = 4 << 20;

/// The least write buffer of a partition; a smaller one makes too many small files.
const WRITE_BUFFER_BYTES_MIN: usize = 1 << 20;

/// The one budget of memory for all partitions of a process: half for cells, a quarter for blocks
/// that were read, a quarter for what is being written.
pub struct Memory {
    cells_bytes: usize,
    write_buffer_bytes: usize,
    blocks: Cache,
    write_buffers: WriteBufferManager,
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes of cells)", self.cells_bytes)
    }
}

impl Memory {
    /// A budget of `bytes` for so many partitions.
    pub fn new(bytes: u64, partitions: usize) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let partitions = partitions.max(1);
        // Write buffers are charged to the block cache, so that both together keep to their half.
        let blocks = Cache::new_lru_cache(bytes / 2);
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            bytes / 4,
            false,
            blocks.clone(),
        );
        Self {
            cells_bytes: bytes / 2 / partitions,
            write_buffer_bytes: (bytes / 4 / partitions / 2).max(WRITE_BUFFER_BYTES_MIN),
            blocks,
            write_buffers,
        }
    }

    /// The budget of one partition's cells.
    pub fn cells_bytes(&self) -> usize {
        self.cells_bytes
    }

    fn options(&self) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(&self.blocks);
        // Most keys that are looked for are in no more than one file, or in none.
        blocks.set_bloom_filter(10.0, false);
        // Within the budget, but not thrown out by data.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_block_based_table_factory(&blocks);
        options.set_write_buffer_manager(&self.write_buffers);
        options.set_write_buffer_size(self.write_buffer_bytes);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_level_compaction_dynamic_level_bytes(true);
        // One for flushes and one for compactions a partition: there are as many partitions as
        // cores already.
        options.set_max_background_jobs(2);
        // Its own log is of no use to those who run jobs, and grows.
        options.set_log_level(LogLevel::Error);
        options.set_keep_log_file_num(1);
        options.set_stats_dump_period_sec(0);
        options
    }
}

/// A store in a folder of its own.
pub struct RocksDbStore {
    db: DB,
    folder: PathBuf,
    frozen: u64,
    key_bytes: Vec<Vec<u8>>,
}

impl fmt::Debug for RocksDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RocksDbStore({})", self.folder.display())
    }
}

fn failed(what: &str, folder: &Path, cause: rocksdb::Error) -> Error {
    let kind = match cause.kind() {
        rocksdb::ErrorKind::Corruption => ErrorKind::Corruption,
        _ => ErrorKind::Storage,
    };
    Error::new(kind, format!("RocksDB cannot {what} {}", folder.display())).caused_by(cause)
}

fn encode(stored: &StoredKey<'_>, bytes: &mut Vec<u8>) {
    bytes.clear();
    let group = u16::try_from(stored.group.0).expect("there are at most 32,768 key groups");
    bytes.extend_from_slice(&group.to_be_bytes());
    bytes.extend_from_slice(&stored.state.to_be_bytes());
    bytes.extend_from_slice(stored.key);
}

fn decode(bytes: &[u8]) -> Option<StoredKey<'_>> {
    let (group, rest) = bytes.split_first_chunk::<2>()?;
    let (state, key) = rest.split_first_chunk::<2>()?;
    let group = KeyGroup(u32::from(u16::from_be_bytes(*group)));
    Some(StoredKey { group, state: u16::from_be_bytes(*state), key })
}

impl RocksDbStore {
    /// A store in a folder that is empty, or that holds the files of a checkpoint.
    ///
    /// # Errors
    /// If the folder cannot be used, or the files are not what was written.
    pub fn open(folder: &Path, memory: &Memory) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|cause| {
            Error::storage(format!("cannot make {}", folder.display())).caused_by(cause)
        })?;
        let options = memory.options();
        // Named, because a batched read asks for a column family by name.
        let families = [(FAMILY, options.clone())];
        let db = DB::open_cf_with_opts(&options, folder, families)
            .map_err(|cause| failed("open", folder, cause))?;
        Ok(Self { db, folder: folder.to_owned(), frozen: 0, key_bytes: Vec::new() })
    }

    /// Freezes what has been written in a folder beside the store's.
    fn freeze(&mut self) -> Result<PathBuf> {
        self.frozen += 1;
        let folder = self.folder.with_extension(format!("frozen-{}", self.frozen));
        let made = Checkpoint::new(&self.db).and_then(|checkpoint| {
            // Flushes, then links the files: nothing is copied.
            checkpoint.create_checkpoint(&folder)
        });
        made.map_err(|cause| failed("freeze", &self.folder, cause))?;
        Ok(folder)
    }
}

impl Store for RocksDbStore {
    fn load(
        &mut self,
        wanted: &[StoredKey<'_>],
        found: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<()> {
        // Sorted, so that neighbours are read together.
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_unstable_by_key(|&index| wanted[index]);
        let keys = &mut self.key_bytes;
        keys.resize_with(keys.len().max(order.len()), Vec::new);
        for (bytes, &index) in keys.iter_mut().zip(&order) {
            encode(&wanted[index], bytes);
        }
        let family = self.db.cf_handle(FAMILY).expect("it was opened with it");
        let values = self.db.batched_multi_get_cf(family, &keys[..order.len()], true);
        for (value, &index) in values.into_iter().zip(&order) {
            let value = value.map_err(|cause| failed("read from", &self.folder, cause))?;
            if let Some(value) = value {
                found(index, &value);
            }
        }
        Ok(())
    }

    fn write(&mut self, changes: &mut [(StoredKey<'_>, Option<&[u8]>)]) -> Result<()> {
        changes.sort_unstable_by_key(|(stored, _)| *stored);
        let mut options = WriteOptions::default();
        options.disable_wal(true);
        let mut batch = WriteBatch::default();
        let mut bytes = Vec::new();
        for (index, (stored, value)) in changes.iter().enumerate() {
            encode(stored, &mut bytes);
            match value {
                Some(value) => batch.put(&bytes, value),
                None => batch.delete(&bytes),
            }
            if batch.size_in_bytes() >= BATCH_BYTES || index + 1 == changes.len() {
                let batch = std::mem::take(&mut batch);
                let written = self.db.write_opt(batch, &options);
                written.map_err(|cause| failed("write to", &self.folder, cause))?;
            }
        }
        Ok(())
    }

    fn freeze_tables(&mut self) -> Result<LocalTables> {
        let folder = self.freeze()?;
        // Removed with this value from now on, also if what follows fails.
        let mut tables = LocalTables { folder, files: Vec::new() };
        let listed = std::fs::read_dir(&tables.folder).and_then(|entries| {
            entries
                .map(|entry| {
                    entry.and_then(|entry| Ok((entry.file_name(), entry.metadata()?.len())))
                })
                .collect::<Result<Vec<_>, _>>()
        });
        let listed = listed.map_err(|cause| {
            Error::storage(format!("cannot list {}", tables.folder.display())).caused_by(cause)
        })?;
        for (name, bytes) in listed {
            let name = name.to_string_lossy().into_owned();
            // RocksDB never changes a table, nor gives its name to another one.
            let shareable = name.ends_with(".sst");
            tables.files.push(LocalFile { name, bytes, shareable });
        }
        tables.files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tables)
    }

    fn freeze_entries(&mut self) -> Result<Box<dyn FrozenEntries>> {
        let folder = self.freeze()?;
        Ok(Box::new(Frozen(LocalTables { folder, files: Vec::new() })))
    }
}

/// A frozen store, read by another thread.
struct Frozen(LocalTables);

impl FrozenEntries for Frozen {
    fn for_each(
        self: Box<Self>,
        visit: &mut dyn FnMut(KeyGroup, Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let all = 0..u32::from(u16::MAX) + 1;
        read_tables(&self.0.folder, &all, |stored, value| {
            let kind = EntryKind::State(stored.state);
            visit(stored.group, Entry { kind, key: stored.key, value })
        })
    }
}

/// Reads the entries of some key groups from a store's files, which stay as they are.
///
/// # Errors
/// If the files are not what was written; those of the visit.
pub fn read_tables(
    folder: &Path,
    groups: &Range<u32>,
    mut visit: impl FnMut(StoredKey<'_>, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut options = Options::default();
    options.set_log_level(LogLevel::Error);
    let db = DB::open_for_read_only(&options, folder, false)
        .map_err(|cause| failed("open", folder, cause))?;
    let Ok(start) = u16::try_from(groups.start) else { return Ok(()) };
    let start = start.to_be_bytes();
    for entry in db.iterator(IteratorMode::From(&start, Direction::Forward)) {
        let (key, value) = entry.map_err(|cause| failed("read from", folder, cause))?;
        let stored = decode(&key).ok_or_else(|| {
            let message = format!("{} holds a key that is none of ours", folder.display());
            Error::new(ErrorKind::Corruption, message)
        })?;
        if stored.group.0 >= groups.end {
            break;
        }
        visit(stored, &value)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A folder of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new() -> Self {
            use std::sync::atomic::{AtomicU32, Ordering};
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("tidegate-rocksdb-{}-{number}", std::process::id());
            let path = std::env::temp_dir().join(name);
            std::fs::create_dir_all(&path).expect("a temporary folder");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    type Model = BTreeMap<(u32, u16, Vec<u8>), Vec<u8>>;

    fn write(
        store: &mut RocksDbStore,
        model: &mut Model,
        key: (u32, u16, Vec<u8>),
        value: Option<Vec<u8>>,
    ) {
        let stored = StoredKey { group: KeyGroup(key.0), state: key.1, key: &key.2 };
        store.write(&mut [(stored, value.as_deref())]).expect("written");
        match value {
            Some(value) => drop(model.insert(key, value)),
            None => drop(model.remove(&key)),
        }
    }

    fn read(folder: &Path, groups: Range<u32>) -> Model {
        let mut model = Model::new();
        read_tables(folder, &groups, |stored, value| {
            model.insert((stored.group.0, stored.state, stored.key.to_vec()), value.to_vec());
            Ok(())
        })
        .expect("readable");
        model
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn holds_what_a_map_holds(
            changes in prop::collection::vec(
                ((0_u32..4, 0_u16..2, prop::collection::vec(0_u8..3, 0..3)),
                 prop::option::weighted(0.8, prop::collection::vec(any::<u8>(), 0..40)),
                 0_u8..12), 1..80)
        ) {
            let folder = Folder::new();
            let memory = Memory::new(16 << 20, 1);
            let mut store = RocksDbStore::open(&folder.0.join("db"), &memory).expect("open");
            let mut model = Model::new();
            for (key, value, choice) in changes {
                if choice == 0 {
                    let tables = store.freeze_tables().expect("frozen");
                    let before = model.clone();
                    write(&mut store, &mut model, key.clone(), Some(b"later".to_vec()));
                    prop_assert_eq!(read(&tables.folder, 0..4), before.clone());
                    let some = before.into_iter().filter(|((group, ..), _)| (1..3).contains(group));
                    prop_assert_eq!(read(&tables.folder, 1..3), some.collect::<Model>());
                    let gone = tables.folder.clone();
                    drop(tables);
                    prop_assert!(!gone.exists());
                }
                write(&mut store, &mut model, key, value);
            }
            let keys: Vec<_> = model.keys().cloned().collect();
            let wanted: Vec<StoredKey<'_>> = keys
                .iter()
                .map(|key| StoredKey { group: KeyGroup(key.0), state: key.1, key: &key.2 })
                .collect();
            let mut found = Model::new();
            store.load(&wanted, &mut |index, value| {
                found.insert(keys[index].clone(), value.to_vec());
            }).expect("loaded");
            prop_assert_eq!(found, model);
        }
    }

    #[test]
    fn a_second_checkpoint_shares_the_tables_of_the_first() {
        let folder = Folder::new();
        let memory = Memory::new(16 << 20, 1);
        let mut store = RocksDbStore::open(&folder.0.join("db"), &memory).expect("open");
        let mut model = Model::new();
        for number in 0..1000_u32 {
            let key = (number % 128, 0, number.to_le_bytes().to_vec());
            write(&mut store, &mut model, key, Some(vec![7; 100]));
        }
        let shareable = |tables: &LocalTables| -> Vec<String> {
            let shareable = tables.files.iter().filter(|file| file.shareable);
            shareable.map(|file| file.name.clone()).collect()
        };
        let first = store.freeze_tables().expect("frozen");
        write(&mut store, &mut model, (1, 0, b"new".to_vec()), Some(vec![8; 10]));
        let second = store.freeze_tables().expect("frozen");
        assert!(shareable(&first).iter().all(|name| shareable(&second).contains(name)));
        assert_eq!(shareable(&second).len(), shareable(&first).len() + 1);
        let opened = RocksDbStore::open(&second.folder, &memory).expect("a checkpoint opens");
        drop(opened);
        assert_eq!(read(&second.folder, 0..128), model);
    }
}
