//! A consistent copy of a partition's state that is made while the partition works on.
//!
//! Copy on write, a key at a time: a cursor walks over the slots in bounded steps, and a key that
//! is about to change before the cursor has come by is copied first. So the pause at a barrier is
//! that of allocating a bit a slot, whatever the size of the state, and nothing is copied twice.
//! (Redis and Flink's copy-on-write state table do the same by page and by version.)

use super::Slot;
use super::column::Column;
use super::entry::{self, Entry, EntryKind};
use super::key_table::KeyTable;
use super::lifetimes::{Horizons, Remains, remains};
use super::timers::Timers;
use crate::model::KeyGroup;

/// A group's entries are handed on when they have grown to so many bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What all groups together hold back at most, or nearly.
const HELD_BYTES: usize = 8 << 20;

/// Slots that one step passes over.
const SLOTS_A_STEP: usize = 1024;

/// A step ends when it has copied so much.
const BYTES_A_STEP: usize = 256 << 10;

/// What is copied.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) keys: &'a KeyTable,
    /// None of them if the states are frozen by a store.
    pub(super) columns: &'a [Column],
    pub(super) timers: &'a [Timers; 2],
}

/// A snapshot under way.
#[derive(Debug)]
pub(super) struct Cursor {
    next: usize,
    /// Slots from here on are younger than the snapshot.
    end: usize,
    /// A bit a slot: whether it has been copied.
    taken: Vec<u64>,
    /// By key group, what has been copied and not handed on.
    groups: Vec<Vec<u8>>,
    chunk_bytes: usize,
    ready: Vec<(KeyGroup, Vec<u8>)>,
    copied_bytes: usize,
    /// What is left out.
    horizons: Horizons,
}

impl Cursor {
    pub(super) fn new(slots: usize, max_parallelism: u32, horizons: Horizons) -> Self {
        let groups = max_parallelism as usize;
        Self {
            next: 0,
            end: slots,
            taken: vec![0; slots.div_ceil(64)],
            groups: vec![Vec::new(); groups],
            chunk_bytes: (HELD_BYTES / groups).clamp(256, CHUNK_BYTES),
            ready: Vec::new(),
            copied_bytes: 0,
            horizons,
        }
    }

    /// Copies a key, unless it has been copied or is younger than the snapshot.
    pub(super) fn take(&mut self, slot: Slot, rows: Rows<'_>) {
        let (word, bit) = (slot.index() / 64, 1 << (slot.index() % 64));
        if slot.index() >= self.end || self.taken[word] & bit != 0 {
            return;
        }
        self.taken[word] |= bit;
        let group = rows.keys.hash(slot).key_group(self.groups.len() as u32);
        let bytes = &mut self.groups[group.0 as usize];
        let before = bytes.len();
        let key = rows.keys.key(slot);
        for (index, column) in (0..).zip(rows.columns) {
            let Some(value) = column.get(slot) else { continue };
            let value = &*value;
            let kind = EntryKind::State(index);
            // A column that is younger than the snapshot has nothing that is copied.
            let horizon = self.horizons.get(usize::from(index)).copied().flatten();
            match horizon.map(|horizon| remains(value, column.kind(), horizon)) {
                None | Some(Remains::All) => entry::push(bytes, Entry { kind, key, value }),
                Some(Remains::Some(left)) => entry::push(bytes, Entry { kind, key, value: &left }),
                Some(Remains::Nothing) => {}
            }
        }
        let kinds = [EntryKind::EventTimer, EntryKind::ProcessingTimer];
        for (kind, timers) in kinds.into_iter().zip(rows.timers) {
            timers.for_each_of(slot, |time| {
                entry::push(bytes, Entry { kind, key, value: &time.to_le_bytes() });
            });
        }
        self.copied_bytes += bytes.len() - before;
        if bytes.len() >= self.chunk_bytes {
            self.ready.push((group, std::mem::take(bytes)));
        }
    }

    /// Goes on for a bounded time. Returns whether all has been copied.
    pub(super) fn step(&mut self, rows: Rows<'_>) -> bool {
        let stop = self.copied_bytes + BYTES_A_STEP;
        let last = self.end.min(self.next + SLOTS_A_STEP);
        while self.next < last && self.copied_bytes < stop {
            self.take(Slot(self.next as u32), rows);
            self.next += 1;
        }
        if self.next < self.end {
            return false;
        }
        for (group, bytes) in (0..).zip(&mut self.groups) {
            if !bytes.is_empty() {
                self.ready.push((KeyGroup(group), std::mem::take(bytes)));
            }
        }
        true
    }

    /// What can be handed on.
    pub(super) fn take_ready(&mut self) -> Vec<(KeyGroup, Vec<u8>)> {
        std::mem::take(&mut self.ready)
    }
}
