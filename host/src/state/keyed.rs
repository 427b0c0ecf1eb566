//! The keyed states and timers of one partition: the `hashmap` backend, and the cache above a store
//! that makes it the `rocksdb` backend.

use std::sync::Arc;

use super::cache::Cache;
use super::column::{Column, Effect, HeldCell, StateChange};
use super::entry::{Entry, EntryKind};
use super::key_table::{AHEAD, KeyTable};
use super::layout::{Fate, Layout};
use super::lifetimes::{Alive, Horizons, Lifetimes, Remains, StateSettings, remains};
use super::settling::Settling;
use super::snapshot::{Cursor, Rows};
use super::store::{Frozen, Store};
use super::timers::Timers;
use super::{Slot, SnapshotForm};
use crate::error::{Error, ErrorKind, Result};
use crate::model::{KeyGroup, KeyHash, Packed, TimeDomain};

/// All that a partition remembers of its keys.
#[derive(Debug)]
pub struct KeyedState {
    /// Which slot stands for which key.
    pub keys: KeyTable,
    /// What the columns are.
    pub(super) layout: Layout,
    pub(super) columns: Vec<Column>,
    /// Event time, processing time.
    timers: [Timers; 2],
    max_parallelism: u32,
    pub(super) cache: Option<Cache>,
    snapshot: Option<Snapshot>,
    pub(super) lifetimes: Lifetimes,
    /// The slot that is looked at next for what has expired.
    next_clean: usize,
    /// Cells that are not where the function wants them, or that it does not want; none = nothing
    /// of the kind.
    pub(super) settling: Option<Settling>,
}

/// A snapshot under way.
#[derive(Debug)]
struct Snapshot {
    /// Copies what is not in a store.
    cursor: Cursor,
    form: SnapshotForm,
    /// For entries of a store: up to when what lives no longer is left out, and of which states.
    horizons: Horizons,
    states: Arc<[StateSettings]>,
    /// What lies below the cells; none until a store holds what there was at the barrier.
    frozen: Option<Frozen>,
}

impl KeyedState {
    /// Without anything yet, on the heap.
    pub fn on_heap(layout: Layout, max_parallelism: u32) -> Self {
        let lifetimes = Lifetimes::new(layout.columns.iter().map(Into::into));
        Self::new(layout, lifetimes, max_parallelism)
    }

    /// As a cache of `budget` bytes above a store, with what the store holds. The store knows the
    /// same `lifetimes`.
    pub fn on_store(
        layout: Layout,
        lifetimes: Lifetimes,
        max_parallelism: u32,
        store: Box<dyn Store>,
        budget: usize,
    ) -> Self {
        let mut state = Self::new(layout, lifetimes, max_parallelism);
        state.cache = Some(Cache::new(store, budget, state.columns.len(), max_parallelism));
        state
    }

    fn new(layout: Layout, lifetimes: Lifetimes, max_parallelism: u32) -> Self {
        let columns = layout.columns.iter().map(|column| Column::new(column.kind)).collect();
        Self {
            keys: KeyTable::default(),
            layout,
            columns,
            timers: Default::default(),
            max_parallelism,
            cache: None,
            snapshot: None,
            lifetimes,
            next_clean: 0,
            settling: None,
        }
    }

    /// The slots of some keys, which are entered if they are new and brought into memory.
    ///
    /// # Errors
    /// If the store fails.
    pub fn enter(
        &mut self,
        keys: &Packed,
        hashes: &[KeyHash],
        slots: &mut Vec<Slot>,
    ) -> Result<()> {
        slots.clear();
        self.keys.prefetch(hashes);
        slots.extend(keys.iter().zip(hashes).map(|(key, &hash)| self.keys.enter(key, hash)));
        self.grow();
        self.load(slots)
    }

    pub(super) fn grow(&mut self) {
        let slots = self.keys.slots();
        self.columns.iter_mut().for_each(|column| column.grow(slots));
        if let Some(cache) = &mut self.cache {
            cache.grow(slots);
        }
    }

    /// Brings the states of keys into memory whose slots are known.
    ///
    /// # Errors
    /// If the store fails.
    pub fn load(&mut self, slots: &[Slot]) -> Result<()> {
        if let Some(cache) = &mut self.cache {
            cache.load(slots, &mut self.keys, &mut self.columns)?;
        }
        self.settle(slots);
        Ok(())
    }

    /// Forgets the keys that have neither state nor timers. Their slots are not valid any more.
    pub fn sweep(&mut self) {
        self.keys.sweep();
    }

    /// Keeps memory within its budget. Slots are not valid any more after this.
    ///
    /// # Errors
    /// If the store fails.
    pub fn trim(&mut self) -> Result<()> {
        let Some(cache) = &mut self.cache else { return Ok(()) };
        if cache.trim(&mut self.keys, &mut self.columns)? {
            return Ok(());
        }
        while !self.write_back_some()? {}
        if let Some(cache) = &mut self.cache {
            cache.store.finish_freezing();
            cache.trim(&mut self.keys, &mut self.columns)?;
        }
        Ok(())
    }

    /// Reads one state of some loaded keys: appends to `forms` and `values` as in the contract's
    /// `state-column`. Lists and maps of more than `whole_max` bytes go to `hold`, with the index
    /// of their key.
    pub fn read(
        &self,
        state: usize,
        slots: &[Slot],
        whole_max: usize,
        forms: &mut Vec<u8>,
        values: &mut Packed,
        hold: &mut dyn FnMut(usize, HeldCell),
    ) {
        self.columns[self.layout.live[state]].read(slots, whole_max, forms, values, hold);
    }

    /// The first key whose state would have more than `bytes_max` bytes after these changes, and
    /// how many.
    pub fn find_oversized<'a>(
        &self,
        state: usize,
        changes: impl Iterator<Item = StateChange<'a>> + Clone,
        bytes_max: usize,
    ) -> Option<(Slot, usize)> {
        self.columns[self.layout.live[state]].find_oversized(changes, bytes_max)
    }

    /// Applies changes to one state of loaded keys in order.
    pub fn apply<'a>(
        &mut self,
        state: usize,
        changes: impl Iterator<Item = StateChange<'a>> + Clone,
    ) {
        if self.snapshot.is_some() {
            changes.clone().for_each(|change| self.cells_about_to_change(change.slot));
        }
        let Self { columns, keys, cache, layout, .. } = self;
        let state = layout.live[state];
        let column = &mut columns[state];
        match cache {
            None => {
                let mut ahead = changes.clone().skip(AHEAD);
                changes.for_each(|change| {
                    if let Some(StateChange { slot, .. }) = ahead.next() {
                        column.prefetch(slot);
                        keys.prefetch_row(slot);
                    }
                    match column.apply(change) {
                        Effect::Appeared => keys.retain(change.slot),
                        Effect::Vanished => keys.release(change.slot),
                        Effect::Changed => {}
                    }
                });
            }
            Some(cache) => changes.for_each(|change| {
                let length = |column: &Column| column.length(change.slot).unwrap_or(0);
                let before = length(column);
                column.apply(change);
                cache.note(change.slot, state, before, length(column));
            }),
        }
    }

    /// The timers of a domain.
    pub fn timers(&mut self, domain: TimeDomain) -> &mut Timers {
        &mut self.timers[index_of(domain)]
    }

    /// How many timers a key has, of both domains.
    pub fn count_timers(&self, slot: Slot) -> usize {
        self.timers.iter().map(|timers| timers.count(slot)).sum()
    }

    /// Whether a key has a timer.
    pub fn has_timer(&self, domain: TimeDomain, slot: Slot, timestamp: i64) -> bool {
        self.timers[index_of(domain)].contains(slot, timestamp)
    }

    /// The earliest timer of a domain that is due at `time`. It stays. Starts to bring into the
    /// cache what is known of a later one.
    pub fn first_due(&mut self, domain: TimeDomain, time: i64) -> Option<(i64, Slot)> {
        let timers = &mut self.timers[index_of(domain)];
        let first = timers.first_due(time)?;
        if let Some(ahead) = timers.ahead() {
            timers.prefetch(ahead);
            self.keys.prefetch_row(ahead);
        }
        Some(first)
    }

    /// Starts to bring the timers of a key into the cache.
    #[inline]
    pub fn prefetch_timers(&self, slot: Slot) {
        self.timers.iter().for_each(|timers| timers.prefetch(slot));
    }

    /// Calls `visit` with the time of each event-time timer due at `time` whose key is part of the
    /// current call, and the index of that key.
    pub fn for_each_due_in_call(&mut self, time: i64, mut visit: impl FnMut(i64, u32)) {
        let Self { keys, timers, .. } = self;
        let later = |slot| keys.prefetch_row(slot);
        timers[index_of(TimeDomain::Event)].for_each_due(time, later, |timestamp, slot| {
            if let Some(local) = keys.local(slot) {
                visit(timestamp, local);
            }
        });
    }

    /// Registers a timer, if it is not there.
    pub fn register_timer(&mut self, domain: TimeDomain, slot: Slot, timestamp: i64) {
        self.about_to_change(slot);
        if self.timers(domain).register(slot, timestamp) {
            self.keys.retain(slot);
        }
    }

    /// Deletes a timer, if it is there.
    pub fn delete_timer(&mut self, domain: TimeDomain, slot: Slot, timestamp: i64) {
        self.about_to_change(slot);
        if self.timers(domain).delete(slot, timestamp) {
            self.keys.release(slot);
        }
    }

    /// Must be called before a timer of a key, or on the heap a cell, changes.
    fn about_to_change(&mut self, slot: Slot) {
        if let Some(mut snapshot) = self.snapshot.take() {
            snapshot.cursor.take(slot, self.rows());
            self.snapshot = Some(snapshot);
        }
    }

    /// Must be called before a cell of a key changes.
    pub(super) fn cells_about_to_change(&mut self, slot: Slot) {
        match &mut self.cache {
            None => self.about_to_change(slot),
            Some(cache) => cache.about_to_change(slot, &self.keys, &self.columns),
        }
    }

    fn rows(&self) -> Rows<'_> {
        let columns = if self.cache.is_some() { &[][..] } else { &self.columns };
        Rows { keys: &self.keys, columns, timers: &self.timers }
    }

    /// Begins a snapshot of this moment; [`advance_snapshot`](Self::advance_snapshot) makes it. A
    /// snapshot still under way is given up.
    ///
    /// # Errors
    /// If the store fails.
    pub fn begin_snapshot(&mut self, form: SnapshotForm) -> Result<()> {
        let horizons = self.lifetimes.horizons(|ttl| ttl.cleanup_in_full_snapshot);
        // Beside a store only timers are copied.
        let is_empty = self.cache.is_some() && self.timers.iter().all(Timers::is_empty);
        let slots = if is_empty { 0 } else { self.keys.slots() };
        let cursor = Cursor::new(slots, self.max_parallelism, horizons.clone());
        let frozen = match &mut self.cache {
            None => Some(Frozen::Nothing),
            Some(cache) => {
                cache.begin_write_back(&self.keys, &self.columns)?;
                self.lifetimes.hold(true);
                None
            }
        };
        let states = self.lifetimes.states();
        self.snapshot = Some(Snapshot { cursor, form, horizons, states, frozen });
        Ok(())
    }

    /// Goes on with the snapshot for a bounded time and hands on entries by key group, in the
    /// encoding of [`entry`](super::entry). Once it is complete, returns what a store holds of it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn advance_snapshot(
        &mut self,
        hand_on: &mut dyn FnMut(KeyGroup, Vec<u8>),
    ) -> Result<Option<Frozen>> {
        self.write_back_some()?;
        let Some(mut snapshot) = self.snapshot.take() else { return Ok(None) };
        let is_copied = snapshot.cursor.step(self.rows());
        let ready = snapshot.cursor.take_ready();
        ready.into_iter().for_each(|(group, entries)| hand_on(group, entries));
        if is_copied && snapshot.frozen.is_some() {
            return Ok(snapshot.frozen);
        }
        self.snapshot = Some(snapshot);
        Ok(None)
    }

    /// Writes some of what the store lacks of the snapshot, and has it frozen with the last of it.
    /// Returns whether there is nothing more to write.
    fn write_back_some(&mut self) -> Result<bool> {
        let Self { snapshot: Some(snapshot), cache: Some(cache), .. } = self else {
            return Ok(true);
        };
        if snapshot.frozen.is_some() {
            return Ok(true);
        }
        if !cache.write_back_some(&self.keys, &self.columns)? {
            return Ok(false);
        }
        snapshot.frozen = Some(match snapshot.form {
            SnapshotForm::Native => Frozen::Tables(cache.store.freeze_tables()),
            SnapshotForm::Canonical => {
                let entries = cache.store.freeze_entries()?;
                let (states, horizons) = (snapshot.states.clone(), snapshot.horizons.clone());
                Frozen::Entries(Box::new(Alive { entries, states, horizons }))
            }
        });
        self.lifetimes.hold(cache.is_behind());
        Ok(true)
    }

    /// Sets the clocks by which state expires: the watermark in force and the host's clock.
    pub fn set_clocks(&self, watermark: i64, processing: i64) {
        self.lifetimes.set_clocks(watermark, processing);
        self.lifetimes.hold(self.cache.as_ref().is_some_and(Cache::is_behind));
    }

    /// Looks at some keys on the heap, as many for each of so many records as each state wants, and
    /// removes what has expired. Slots are not valid any more after this.
    pub fn clean_up(&mut self, records: usize) {
        let horizons = self.lifetimes.horizons(|ttl| ttl.cleanup_incrementally > 0);
        if self.cache.is_some() || horizons.iter().all(Option::is_none) {
            return;
        }
        let slots = self.keys.slots();
        let states = self.lifetimes.states();
        let wanted = states.iter().zip(&horizons);
        let keys = wanted
            .filter(|(_, horizon)| horizon.is_some())
            .filter_map(|(state, _)| state.ttl.map(|ttl| ttl.cleanup_incrementally as usize))
            .max();
        for _ in 0..slots.min(records.saturating_mul(keys.unwrap_or(0))) {
            let slot = Slot((self.next_clean % slots) as u32);
            self.next_clean = (self.next_clean + 1) % slots;
            self.clean_up_slot(slot, &horizons);
        }
        self.keys.sweep();
    }

    fn clean_up_slot(&mut self, slot: Slot, horizons: &[Option<i64>]) {
        for (state, horizon) in horizons.iter().enumerate() {
            let Some(horizon) = *horizon else { continue };
            let column = &self.columns[state];
            let Some(stored) = column.get(slot) else { continue };
            let left = match remains(&stored, column.kind(), horizon) {
                Remains::All => continue,
                Remains::Some(left) => Some(left),
                Remains::Nothing => None,
            };
            self.about_to_change(slot);
            self.columns[state].set(slot, left.as_deref());
            if left.is_none() {
                self.keys.release(slot);
            }
        }
    }

    /// Adds an entry of a snapshot that had the same columns, or the first of them. What nobody
    /// wants any more is left out.
    ///
    /// # Errors
    /// If the entry cannot be, or the store fails.
    pub fn restore_entry(&mut self, entry: Entry<'_>) -> Result<()> {
        let domain = match entry.kind {
            EntryKind::EventTimer => TimeDomain::Event,
            EntryKind::ProcessingTimer => TimeDomain::Processing,
            EntryKind::State(index) => {
                let column = usize::from(index);
                let of = self.layout.columns.get(column);
                let of = of.ok_or_else(|| malformed("it has a state of no name"))?;
                if of.fate == Fate::Gone {
                    return Ok(());
                }
                let slot = self.restore_key(entry.key);
                return self.restore_cell(slot, column, entry.value);
            }
        };
        let slot = self.restore_key(entry.key);
        let time = entry.value.try_into().map_err(|_| malformed("it has a timer of no time"))?;
        self.register_timer(domain, slot, i64::from_le_bytes(time));
        Ok(())
    }

    fn restore_key(&mut self, key: &[u8]) -> Slot {
        let slot = self.keys.enter(key, KeyHash::of(key));
        self.grow();
        slot
    }

    fn restore_cell(&mut self, slot: Slot, state: usize, value: &[u8]) -> Result<()> {
        if let Some(cache) = &mut self.cache {
            cache.load(&[slot], &mut self.keys, &mut self.columns)?;
        } else if self.columns[state].length(slot).is_none() {
            self.keys.retain(slot);
        }
        let before = self.columns[state].length(slot).unwrap_or(0);
        self.columns[state].set(slot, Some(value));
        if let Some(cache) = &mut self.cache {
            cache.note(slot, state, before, value.len());
        }
        Ok(())
    }
}

fn index_of(domain: TimeDomain) -> usize {
    match domain {
        TimeDomain::Event => 0,
        TimeDomain::Processing => 1,
    }
}

fn malformed(what: &str) -> Error {
    Error::new(ErrorKind::Corruption, format!("entries of a snapshot cannot be read: {what}"))
}
