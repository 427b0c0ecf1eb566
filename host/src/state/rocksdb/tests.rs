//! A store against a `BTreeMap`, and what it does when the disk or the files are at fault.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process, thread};

use proptest::prelude::*;

use super::{Memory, RocksDbStore, read_tables};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KeyGroup, StateKind, TimeDomain, Ttl, TtlUpdate, TtlVisibility};
use crate::state::entry::{Entry, EntryKind};
use crate::state::{FrozenEntries, Lifetimes, LocalTables, StateSettings, Store, StoredKey};

const ALL: Range<u32> = 0..32_768;

const MEMORY_BYTES: u64 = 16 << 20;

/// What a store should hold.
type Model = BTreeMap<(u32, u16, Vec<u8>), Vec<u8>>;

/// A folder that is removed with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("tidegate-r{}-{number}", process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Of states that live for ever.
fn forever() -> Lifetimes {
    Lifetimes::new([])
}

fn new_store(folder: &Folder) -> RocksDbStore {
    RocksDbStore::create(&folder.join("count-0"), &Memory::new(MEMORY_BYTES, 1), &forever())
        .unwrap()
}

fn stored(group: u32, state: u16, key: &[u8]) -> StoredKey<'_> {
    StoredKey { group: KeyGroup(group), state, key }
}

fn put(store: &mut RocksDbStore, key: &[u8], cell: &[u8]) -> Result<()> {
    store.write(&mut [(stored(1, 0, key), Some(cell))])
}

fn add(model: &mut Model, group: KeyGroup, entry: Entry<'_>) -> Result<()> {
    let EntryKind::State(state) = entry.kind else { panic!("a store has no timers") };
    let key = (group.0, state, entry.key.to_vec());
    // Group by group; within one in the order of the bytes that the store makes of keys.
    if let Some(((last, ..), _)) = model.last_key_value() {
        assert!(*last <= group.0, "{key:?} after group {last}");
    }
    assert_eq!(model.insert(key, entry.value.to_vec()), None, "an entry comes once");
    Ok(())
}

fn entries_of(view: Box<dyn FrozenEntries>) -> Model {
    let mut model = Model::new();
    view.for_each(&mut |group, entry| add(&mut model, group, entry)).unwrap();
    model
}

fn entries_in(folder: &Path, groups: &Range<u32>) -> Result<Model> {
    let mut model = Model::new();
    read_tables(folder, groups, |group, entry| add(&mut model, group, entry))?;
    Ok(model)
}

fn load(store: &mut RocksDbStore, keys: &[(u32, u16, Vec<u8>)]) -> Vec<Option<Vec<u8>>> {
    let wanted: Vec<_> =
        keys.iter().map(|(group, state, key)| stored(*group, *state, key)).collect();
    let mut cells = vec![None; keys.len()];
    store.load(&wanted, &mut |index, cell| cells[index] = Some(cell.to_vec())).unwrap();
    cells
}

/// Fills a store and gives what it holds.
fn fill(store: &mut RocksDbStore, entries: u32) -> Model {
    let key = |index: u32| (index % 128, 0, index.to_le_bytes().to_vec());
    let model: Model = (0..entries).map(|index| (key(index), vec![index as u8; 100])).collect();
    let mut changes: Vec<_> = model
        .iter()
        .map(|((group, state, key), cell)| (stored(*group, *state, key), Some(cell.as_slice())))
        .collect();
    store.write(&mut changes).unwrap();
    model
}

fn sizes(tables: &LocalTables, shareable: bool) -> BTreeMap<&str, u64> {
    let files = tables.files.iter().filter(|file| file.shareable == shareable);
    files.map(|file| (file.name.as_str(), file.bytes)).collect()
}

#[test]
fn a_view_stays_as_it_was_and_goes_to_another_thread() {
    let folder = Folder::new();
    let mut store = new_store(&folder);
    let before = fill(&mut store, 1000);
    let view = store.freeze_entries().unwrap();
    store.write(&mut [(stored(0, 0, &0_u32.to_le_bytes()), None)]).unwrap();
    put(&mut store, b"new", b"x").unwrap();
    store.freeze_tables().take().unwrap();
    // The view keeps the files open that it reads.
    drop(store);
    assert_eq!(thread::spawn(|| entries_of(view)).join().unwrap(), before);
}

#[test]
fn a_second_checkpoint_shares_the_tables_of_the_first() {
    let folder = Folder::new();
    let mut store = new_store(&folder);
    fill(&mut store, 10_000);
    let first = store.freeze_tables().take().unwrap();
    put(&mut store, b"new", b"x").unwrap();
    let second = store.freeze_tables().take().unwrap();
    let (old, new) = (sizes(&first, true), sizes(&second, true));
    assert!(!old.is_empty());
    assert_eq!(new.len(), old.len() + 1);
    assert!(old.iter().all(|(name, bytes)| new.get(name) == Some(bytes)), "{old:?} {new:?}");
    let private: Vec<&str> = sizes(&second, false).into_keys().collect();
    let expected = ["CURRENT", "MANIFEST", "OPTIONS"];
    assert_eq!(private.len(), expected.len(), "{private:?}");
    assert!(private.iter().zip(expected).all(|(name, start)| name.starts_with(start)));
    let listed = second.files.iter().all(|file| {
        fs::metadata(second.folder.join(&file.name)).unwrap().len() == file.bytes && file.bytes > 0
    });
    assert!(listed);
    let path = first.folder.clone();
    drop(first);
    assert!(!path.exists() && second.folder.exists());
}

#[test]
fn stores_of_a_process_keep_to_one_budget() {
    let folder = Folder::new();
    let memory = Memory::new(MEMORY_BYTES, 4);
    assert_eq!(memory.cells_bytes(), 2 << 20);
    let mut stores: Vec<_> = (0..4)
        .map(|number| {
            RocksDbStore::create(&folder.join(&number.to_string()), &memory, &forever()).unwrap()
        })
        .collect();
    let cell = vec![7; 16 << 10];
    // 32 MiB altogether.
    for round in 0_u32..512 {
        for store in &mut stores {
            put(store, &round.to_le_bytes(), &cell).unwrap();
        }
        // Faster than any disk, and yet no more than all of the buffers at once.
        let usage = memory.write_buffers.get_usage();
        assert!(usage < 10 << 20, "{usage} bytes in round {round}");
        assert!(memory.blocks.get_usage() >= usage, "write buffers are not counted");
    }
    for store in &mut stores {
        let cells = load(store, &[(1, 0, 0_u32.to_le_bytes().into()), (1, 0, vec![0; 9])]);
        assert_eq!(cells, [Some(cell.clone()), None]);
    }
}

#[test]
fn batches_of_any_size_are_written_whole() {
    let folder = Folder::new();
    let mut store = new_store(&folder);
    let cell = vec![1; 3 << 20];
    let keys: Vec<[u8; 1]> = (0..9_u8).rev().map(|key| [key]).collect();
    let mut changes: Vec<_> =
        keys.iter().map(|key| (stored(0, 0, key), Some(cell.as_slice()))).collect();
    store.write(&mut changes).unwrap();
    let entries = entries_of(store.freeze_entries().unwrap());
    assert_eq!(entries.len(), 9);
    assert!(entries.values().all(|value| *value == cell));
    store.write(&mut []).unwrap();
}

#[test]
fn groups_come_from_the_files_of_several_stores() {
    let folder = Folder::new();
    let memory = Memory::new(MEMORY_BYTES, 1);
    let mut target = RocksDbStore::create(&folder.join("target"), &memory, &forever()).unwrap();
    let mut expected = Model::new();
    for (name, groups) in [("a", 20..64), ("b", 64..80), ("c", 200..300)] {
        let mut source = RocksDbStore::create(&folder.join(name), &memory, &forever()).unwrap();
        let entries = fill(&mut source, 20_000);
        let tables = source.freeze_tables().take().unwrap();
        target.import(&tables.folder, &groups).unwrap();
        expected.extend(entries.into_iter().filter(|((group, ..), _)| groups.contains(group)));
    }
    assert_eq!(entries_of(target.freeze_entries().unwrap()), expected);
    let tables = target.freeze_tables().take().unwrap();
    assert_eq!(entries_in(&tables.folder, &ALL).unwrap(), expected);
}

#[test]
fn a_disk_that_fails_is_told_and_stays_told() {
    let folder = Folder::new();
    let mut store = new_store(&folder);
    put(&mut store, b"a", b"1").unwrap();
    fs::remove_dir_all(folder.join("count-0")).unwrap();
    let error = store.freeze_tables().take().unwrap_err();
    assert!(error.message.starts_with("cannot freeze the state in "), "{error}");
    assert!(error.message.ends_with("count-0") && error.source.is_some(), "{error}");
    assert_eq!(error.kind, ErrorKind::Storage);
    put(&mut store, b"b", b"2").unwrap_err();
    store.freeze_tables().take().unwrap_err();
}

#[test]
fn a_flush_that_fails_is_told_to_the_writer() {
    let folder = Folder::new();
    let mut store =
        RocksDbStore::create(&folder.join("a"), &Memory::new(MEMORY_BYTES, 4), &forever()).unwrap();
    fs::remove_dir_all(folder.join("a")).unwrap();
    // Much more than a store may keep in memory.
    let cell = vec![1; 64 << 10];
    let mut written = (0..1024_u32).map(|key| put(&mut store, &key.to_le_bytes(), &cell));
    let error = written.find_map(Result::err).unwrap();
    assert!(error.message.starts_with("cannot write the state in "), "{error}");
}

#[test]
fn files_that_are_not_those_of_a_checkpoint_are_refused() {
    let folder = Folder::new();
    let mut store = new_store(&folder);
    fill(&mut store, 10_000);
    let mut damage = |name: &str, break_file: &dyn Fn(&Path)| -> Error {
        let tables = store.freeze_tables().take().unwrap();
        let file = tables.files.iter().find(|file| file.name.contains(name)).unwrap();
        // Not the hard link, which is the store's own file too.
        let path = tables.folder.join(&file.name);
        let bytes = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, bytes).unwrap();
        break_file(&path);
        let read = entries_in(&tables.folder, &ALL).unwrap_err();
        assert_eq!(read.kind, ErrorKind::Corruption, "{read} {:?}", read.source);
        match RocksDbStore::open(&tables.folder, &Memory::new(MEMORY_BYTES, 1), &forever()) {
            Err(error) => assert_eq!(error.kind, ErrorKind::Corruption, "{:?}", error.source),
            // A block is checked when it is read.
            Ok(_) => assert_eq!(name, ".sst"),
        }
        read
    };
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        bytes[500] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let error = damage(".sst", &flip);
    assert!(error.message.starts_with("cannot read the state in "), "{error}");
    assert_eq!(error.hint.unwrap(), "go on from an older checkpoint or from a savepoint");
    for name in [".sst", "MANIFEST", "CURRENT"] {
        damage(name, &|path| fs::remove_file(path).unwrap());
        damage(name, &|path| fs::write(path, "x").unwrap());
    }
}

#[test]
fn an_empty_store_can_be_frozen_and_opened() {
    let folder = Folder::new();
    let memory = Memory::new(MEMORY_BYTES, 1);
    let tables = new_store(&folder).freeze_tables().take().unwrap();
    assert!(entries_in(&tables.folder, &ALL).unwrap().is_empty());
    let mut opened = RocksDbStore::open(&tables.folder, &memory, &forever()).unwrap();
    opened.import(&tables.folder, &ALL).unwrap();
    drop(opened);
    let error = RocksDbStore::create(&tables.folder, &memory, &forever()).unwrap_err();
    assert!(error.message.starts_with("cannot create the state in "), "{error}");
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<(u32, u16, u8, Option<u8>)>),
    Load(Vec<(u32, u16, u8)>),
    FreezeEntries,
    FreezeTables,
    /// Goes on from the files that were frozen last.
    Reopen,
    /// Takes groups out of the files that were frozen last.
    Import(Range<u32>),
}

fn step() -> impl Strategy<Value = Step> {
    // Groups at both ends, and keys that are few, so that they meet.
    let group = || prop_oneof![0_u32..4, 32_766_u32..32_768];
    let state = || prop_oneof![0_u16..2, Just(256_u16)];
    let change = (group(), state(), 0_u8..8, prop::option::weighted(0.7, any::<u8>()));
    prop_oneof![
        4 => prop::collection::vec(change, 0..40).prop_map(Step::Write),
        4 => prop::collection::vec((group(), state(), 0_u8..8), 0..40).prop_map(Step::Load),
        1 => Just(Step::FreezeEntries),
        2 => Just(Step::FreezeTables),
        1 => Just(Step::Reopen),
        1 => (0_u32..4, 1_u32..4).prop_map(|(start, length)| Step::Import(start..start + length)),
    ]
}

/// Keys of several lengths, one of them empty, some the beginning of others.
fn key_of(number: u8) -> Vec<u8> {
    vec![number / 4 * 255; usize::from(number % 4)]
}

/// A store, what it should hold, and what has been frozen.
struct Pair<'a> {
    folder: &'a Folder,
    memory: Memory,
    store: Option<RocksDbStore>,
    model: Model,
    views: Vec<(Box<dyn FrozenEntries>, Model)>,
    tables: Option<(LocalTables, Model)>,
    opened: u32,
}

impl Pair<'_> {
    fn store(&mut self) -> &mut RocksDbStore {
        self.store.as_mut().unwrap()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Write(changes) => self.write(&changes),
            Step::Load(wanted) => {
                let keys: Vec<_> = wanted.iter().map(|(g, s, k)| (*g, *s, key_of(*k))).collect();
                let expected: Vec<_> =
                    keys.iter().map(|key| self.model.get(key).cloned()).collect();
                assert_eq!(load(self.store(), &keys), expected);
            }
            Step::FreezeEntries => {
                let view = self.store().freeze_entries().unwrap();
                self.views.push((view, self.model.clone()));
            }
            Step::FreezeTables => {
                let tables = self.store().freeze_tables().take().unwrap();
                assert_eq!(entries_in(&tables.folder, &ALL).unwrap(), self.model);
                self.tables = Some((tables, self.model.clone()));
            }
            Step::Reopen => self.reopen(),
            Step::Import(groups) => {
                let Some((tables, frozen)) = self.tables.take() else { return };
                self.store().import(&tables.folder, &groups).unwrap();
                let taken = frozen.iter().filter(|((group, ..), _)| groups.contains(group));
                self.model.extend(taken.map(|(key, cell)| (key.clone(), cell.clone())));
                self.tables = Some((tables, frozen));
            }
        }
    }

    fn write(&mut self, changes: &[(u32, u16, u8, Option<u8>)]) {
        let mut owned = Vec::new();
        for (group, state, number, cell) in changes {
            let key = (*group, *state, key_of(*number));
            let cell = cell.map(|cell| vec![cell; usize::from(cell)]);
            match &cell {
                Some(cell) => self.model.insert(key.clone(), cell.clone()),
                None => self.model.remove(&key),
            };
            owned.push((key, cell));
        }
        // The last of several changes to a key wins.
        let mut changes: Vec<_> = owned
            .iter()
            .map(|((group, state, key), cell)| (stored(*group, *state, key), cell.as_deref()))
            .collect();
        self.store().write(&mut changes).unwrap();
    }

    fn reopen(&mut self) {
        let Some((tables, model)) = self.tables.take() else { return };
        self.store = None;
        self.opened += 1;
        let folder = self.folder.join(&format!("count-{}", self.opened));
        fs::create_dir(&folder).unwrap();
        for file in &tables.files {
            fs::hard_link(tables.folder.join(&file.name), folder.join(&file.name)).unwrap();
        }
        self.store = Some(RocksDbStore::open(&folder, &self.memory, &forever()).unwrap());
        self.model = model.clone();
        self.tables = Some((tables, model));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn holds_what_a_map_holds(steps in prop::collection::vec(step(), 1..40)) {
        let folder = Folder::new();
        let mut pair = Pair {
            store: Some(new_store(&folder)),
            folder: &folder,
            memory: Memory::new(MEMORY_BYTES, 1),
            model: Model::new(),
            views: Vec::new(),
            tables: None,
            opened: 0,
        };
        steps.into_iter().for_each(|step| pair.take(step));
        let Pair { store, model, views, tables, .. } = pair;
        let view = store.unwrap().freeze_entries().unwrap();
        for (view, expected) in views.into_iter().chain([(view, model)]) {
            prop_assert_eq!(entries_of(view), expected);
        }
        if let Some((tables, expected)) = tables {
            prop_assert_eq!(entries_in(&tables.folder, &ALL).unwrap(), expected);
        }
    }
}

/// Of one state that lives for 10 ms of processing time.
fn short() -> Lifetimes {
    let ttl = Ttl {
        time_ms: 10,
        domain: TimeDomain::Processing,
        update: TtlUpdate::OnCreateAndWrite,
        visibility: TtlVisibility::NeverReturnExpired,
        cleanup_in_full_snapshot: false,
        cleanup_incrementally: 0,
        cleanup_in_compaction: true,
    };
    Lifetimes::new([StateSettings { kind: StateKind::Value, ttl: Some(ttl) }])
}

#[test]
fn what_has_expired_goes_when_files_are_compacted() {
    let folder = Folder::new();
    let (lifetimes, memory) = (short(), Memory::new(MEMORY_BYTES, 1));
    let mut store = RocksDbStore::create(&folder.join("count-0"), &memory, &lifetimes).unwrap();
    put(&mut store, b"old", &5_i64.to_le_bytes()).unwrap();
    put(&mut store, b"young", &6_i64.to_le_bytes()).unwrap();
    store.freeze_tables().take().unwrap();
    lifetimes.set_clocks(0, 15);
    store.compaction()();
    let mut left = Vec::new();
    let wanted = [stored(1, 0, b"old"), stored(1, 0, b"young")];
    store.load(&wanted, &mut |index, _| left.push(index)).unwrap();
    assert_eq!(left, [1]);
}

#[test]
fn a_view_keeps_what_expires_after_it_was_taken() {
    let folder = Folder::new();
    let (lifetimes, memory) = (short(), Memory::new(MEMORY_BYTES, 1));
    let mut store = RocksDbStore::create(&folder.join("count-0"), &memory, &lifetimes).unwrap();
    // One is in a file, one is not.
    put(&mut store, b"a", &5_i64.to_le_bytes()).unwrap();
    store.freeze_tables().take().unwrap();
    put(&mut store, b"b", &5_i64.to_le_bytes()).unwrap();
    lifetimes.set_clocks(0, 14);
    let view = store.freeze_entries().unwrap();
    lifetimes.set_clocks(0, 15);
    store.compaction()();
    assert!(entries_of(store.freeze_entries().unwrap()).is_empty());
    assert_eq!(entries_of(view).len(), 2);
}
