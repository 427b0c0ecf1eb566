//! Partitions of both backends: how they are made, how snapshots of them are taken, and how they
//! are restored. Does with keyed state what operators, snapshotters and the restore of a job do.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::PathBuf;

use super::content::Content;
use crate::model::{KeyGroup, KeyHash, Packed, StateDeclaration, StateKind};
use crate::state::entry::{self, Entry, EntryKind};
use crate::state::rocksdb::{Memory, RocksDbStore, WorkingFolder, read_tables};
use crate::state::{
    Fate, Frozen, KeyedState, Layout, Lifetimes, LocalTables, Slot, SnapshotForm, Stamps,
    StateSettings,
};

/// Key groups of all partitions together.
pub(super) const GROUPS: u32 = 12;

/// The key groups of a partition.
pub(super) fn groups_of(partition: u32, parallelism: u32) -> Range<u32> {
    let owner = |group: &u32| KeyGroup(*group).partition(parallelism, GROUPS).0;
    let groups: Vec<u32> = (0..GROUPS).filter(|group| owner(group) == partition).collect();
    groups[0]..groups[groups.len() - 1] + 1
}

/// The group of a key.
fn group_of(key: &[u8]) -> KeyGroup {
    KeyHash::of(key).key_group(GROUPS)
}

/// Whether a key is of one of some groups.
pub(super) fn is_among(groups: &Range<u32>, key: &[u8]) -> bool {
    groups.contains(&group_of(key).0)
}

/// Where stores live, and what they share.
pub(super) struct Disk {
    folder: WorkingFolder,
    memory: Memory,
    next: Cell<u32>,
}

impl Disk {
    pub(super) fn new() -> Self {
        Self {
            folder: WorkingFolder::create(&std::env::temp_dir(), "model").unwrap(),
            memory: Memory::new(4 << 20, 4),
            next: Cell::new(0),
        }
    }

    /// An empty store.
    pub(super) fn create_store(&self, lifetimes: &Lifetimes) -> RocksDbStore {
        RocksDbStore::create(&self.new_path(), &self.memory, lifetimes).unwrap()
    }

    fn new_path(&self) -> PathBuf {
        let number = self.next.replace(self.next.get() + 1);
        self.folder.path().join(format!("store-{number}"))
    }
}

/// A backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backend {
    HashMap,
    /// With a cache of so many bytes.
    RocksDb(usize),
}

/// The states of a job, and in which order its function declares them.
#[derive(Debug, Clone)]
pub(super) struct Declared {
    pub(super) states: Vec<StateSettings>,
    pub(super) is_reversed: bool,
}

impl Declared {
    /// The place of a state in the declaration, and the other way round.
    pub(super) fn place(&self, state: usize) -> usize {
        if self.is_reversed { self.states.len() - 1 - state } else { state }
    }

    pub(super) fn kind(&self, state: usize) -> StateKind {
        self.states[state].kind
    }

    /// The columns of a partition that had others before.
    fn layout(&self, before: &Layout, stamps: Stamps) -> Layout {
        let declare = |place: usize| {
            let state = self.place(place);
            let StateSettings { kind, ttl } = self.states[state];
            let (name, type_name) = (state.to_string(), String::new());
            (StateDeclaration { name, kind, schema_version: 1, type_name, ttl }, ttl)
        };
        let (declared, ttl): (Vec<_>, Vec<_>) = (0..self.states.len()).map(declare).unzip();
        before.changed(&declared, &ttl, Fate::Gone, stamps)
    }
}

/// One partition.
pub(super) struct Partition {
    pub(super) keyed: KeyedState,
    pub(super) groups: Range<u32>,
    pub(super) declared: Declared,
    compaction: Option<Box<dyn Fn()>>,
}

/// What a checkpoint has of one partition.
pub(super) struct Image {
    groups: Range<u32>,
    declared: Declared,
    layout: Layout,
    /// By key group, as they were handed on.
    pub(super) entries: Vec<(u32, Vec<u8>)>,
    tables: Option<LocalTables>,
}

/// A snapshot of one partition under way.
pub(super) struct Copying {
    image: Image,
    /// Once all has been copied.
    frozen: Option<Frozen>,
}

impl Partition {
    /// A partition with what images hold of its key groups. `stamps` are the clocks.
    pub(super) fn restore(
        disk: &Disk,
        declared: &Declared,
        backend: Backend,
        groups: Range<u32>,
        images: &[Image],
        stamps: Stamps,
    ) -> Self {
        let overlaps =
            |image: &&Image| image.groups.start < groups.end && groups.start < image.groups.end;
        let images: Vec<&Image> = images.iter().filter(overlaps).collect();
        let nothing = Layout::default();
        let before = images.first().map_or(&nothing, |image| &image.layout);
        let layout = declared.layout(before, stamps);
        let (mut partition, has_tables) = match backend {
            Backend::HashMap => {
                let keyed = KeyedState::on_heap(layout.clone(), GROUPS);
                let (declared, compaction) = (declared.clone(), None);
                (Self { keyed, groups, declared, compaction }, false)
            }
            Backend::RocksDb(budget) => {
                let lifetimes = Lifetimes::new(layout.columns.iter().map(Into::into));
                let store = Self::store(disk, &lifetimes, &groups, &images);
                let compaction = Some(store.compaction());
                let store = Box::new(store);
                let keyed = KeyedState::on_store(layout.clone(), lifetimes, GROUPS, store, budget);
                (Self { keyed, groups, declared: declared.clone(), compaction }, true)
            }
        };
        images.iter().for_each(|image| partition.add(image, has_tables));
        partition.keyed.set_layout(layout, false);
        partition
    }

    /// A store with what images hold in tables.
    fn store(
        disk: &Disk,
        lifetimes: &Lifetimes,
        groups: &Range<u32>,
        images: &[&Image],
    ) -> RocksDbStore {
        let folder = disk.new_path();
        if let [Image { groups: had, tables: Some(tables), .. }] = images
            && had == groups
        {
            fs::create_dir(&folder).unwrap();
            for file in &tables.files {
                fs::hard_link(tables.folder.join(&file.name), folder.join(&file.name)).unwrap();
            }
            return RocksDbStore::open(&folder, &disk.memory, lifetimes).unwrap();
        }
        let mut store = RocksDbStore::create(&folder, &disk.memory, lifetimes).unwrap();
        for tables in images.iter().filter_map(|image| image.tables.as_ref()) {
            store.import(&tables.folder, groups).unwrap();
        }
        store
    }

    /// Adds what an image holds in entries, and in tables unless the store has them.
    fn add(&mut self, image: &Image, has_tables: bool) {
        let Self { keyed, groups, .. } = self;
        let mut add = |entry: Entry<'_>| {
            keyed.restore_entry(entry)?;
            keyed.trim()
        };
        for (_, entries) in image.entries.iter().filter(|(group, _)| groups.contains(group)) {
            entry::read(entries).for_each(|entry| add(entry.unwrap()).unwrap());
        }
        if let Some(tables) = image.tables.as_ref().filter(|_| !has_tables) {
            read_tables(&tables.folder, groups, |_, entry| add(entry)).unwrap();
        }
    }

    /// The slots of some keys, which are in memory then.
    pub(super) fn enter(&mut self, keys: &[Vec<u8>]) -> Vec<Slot> {
        assert!(keys.iter().all(|key| is_among(&self.groups, key)));
        let packed: Packed = keys.iter().collect();
        let hashes: Vec<KeyHash> = keys.iter().map(|key| KeyHash::of(key)).collect();
        let mut slots = vec![Slot(7)];
        self.keyed.enter(&packed, &hashes, &mut slots).unwrap();
        slots
    }

    /// Lets go of keys that were entered.
    pub(super) fn leave(&mut self) {
        self.keyed.sweep();
        self.keyed.trim().unwrap();
        self.settle_some();
    }

    /// Does as an operator does between two batches. Returns whether there may be more.
    fn settle_some(&mut self) -> bool {
        if self.keyed.next_unsettled(2).unwrap().is_none() {
            return false;
        }
        self.keyed.sweep();
        self.keyed.trim().unwrap();
        true
    }

    /// What keys that were entered have of one state.
    pub(super) fn read(&self, state: usize, slots: &[Slot]) -> Vec<Option<Content>> {
        let (mut forms, mut values) = (Vec::new(), Packed::default());
        let hold = &mut |_, _| unreachable!("nothing is so long");
        let place = self.declared.place(state);
        self.keyed.read(place, slots, usize::MAX, &mut forms, &mut values, hold);
        assert_eq!((forms.len(), values.len()), (slots.len(), slots.len()));
        let kind = self.declared.kind(state);
        let found = |(&form, value): (&u8, &[u8])| match form {
            1 => Some(Content::decode(kind, value)),
            form => {
                assert!(form == 0 && value.is_empty());
                None
            }
        };
        forms.iter().zip(values.iter()).map(found).collect()
    }

    /// Compacts the store, if there is one.
    pub(super) fn compact(&self) {
        if let Some(compact) = &self.compaction {
            compact();
        }
    }

    /// Begins a snapshot.
    pub(super) fn begin(&mut self, form: SnapshotForm) -> Copying {
        let (groups, declared) = (self.groups.clone(), self.declared.clone());
        let layout = self.keyed.layout().clone();
        let image = Image { groups, declared, layout, entries: Vec::new(), tables: None };
        self.keyed.begin_snapshot(form).unwrap();
        Copying { image, frozen: None }
    }

    /// Goes on with a snapshot. Returns whether all has been copied.
    pub(super) fn advance(&mut self, copying: &mut Copying) -> bool {
        let Copying { image, frozen } = copying;
        if frozen.is_none() {
            let hand_on = &mut |group: KeyGroup, entries| image.entries.push((group.0, entries));
            *frozen = self.keyed.advance_snapshot(hand_on).unwrap();
        }
        frozen.is_some()
    }

    /// All that the partition has, by way of a snapshot of its own.
    pub(super) fn dump(&mut self) -> Image {
        while self.settle_some() {}
        assert!(self.keyed.is_settled());
        let mut copying = self.begin(SnapshotForm::Canonical);
        while !self.advance(&mut copying) {}
        copying.finish()
    }
}

impl Copying {
    /// The whole image, once all has been copied.
    pub(super) fn finish(self) -> Image {
        let Self { mut image, frozen } = self;
        match frozen.expect("all has been copied") {
            Frozen::Nothing => {}
            Frozen::Tables(freezing) => image.tables = Some(freezing.take().unwrap()),
            Frozen::Entries(entries) => {
                let add = &mut |group: KeyGroup, entry: Entry<'_>| {
                    let mut bytes = Vec::new();
                    entry::push(&mut bytes, entry);
                    image.entries.push((group.0, bytes));
                    Ok(())
                };
                entries.for_each(add).unwrap();
            }
        }
        image
    }
}

/// By key and state; by domain, time and key.
pub(super) type Dumped = (BTreeMap<(Vec<u8>, usize), Content>, Vec<(bool, i64, Vec<u8>)>);

impl Image {
    /// Reads an image that is all entries, each of which must be in its place.
    pub(super) fn read(&self) -> Dumped {
        assert!(self.tables.is_none());
        let (mut states, mut timers) = Dumped::default();
        for (group, entries) in &self.entries {
            for entry in entry::read(entries) {
                let Entry { kind, key, value } = entry.unwrap();
                assert_eq!(*group, group_of(key).0, "the group of {key:?}");
                assert!(self.groups.contains(group), "{key:?} is in the wrong partition");
                let is_event = match kind {
                    EntryKind::EventTimer => true,
                    EntryKind::ProcessingTimer => false,
                    EntryKind::State(column) => {
                        let form = &self.layout.columns[usize::from(column)];
                        assert_eq!(form.fate, Fate::Live, "all has moved");
                        let state = form.name.parse().unwrap();
                        let content = Content::decode(self.declared.kind(state), value);
                        let before = states.insert((key.to_vec(), state), content);
                        assert_eq!(before, None, "an entry comes once");
                        continue;
                    }
                };
                let time = i64::from_le_bytes(value.try_into().unwrap());
                timers.push((is_event, time, key.to_vec()));
            }
        }
        (states, timers)
    }
}
