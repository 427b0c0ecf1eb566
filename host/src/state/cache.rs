//! A bounded write-back cache of cells above a store.
//!
//! A key is loaded with all its states, or not at all. Changed cells are written in one batch when
//! their keys are evicted and at a barrier. Which key goes is decided by the clock algorithm: the
//! hand passes over the slots, a key that was used since it last came by gets another round
//! (Corbató, A Paging Experiment with the Multics System, 1968).

use super::Slot;
use super::column::Column;
use super::key_table::KeyTable;
use super::store::{Store, StoredKey};
use crate::error::Result;

/// What a key in memory costs besides the bytes that do not fit in place: its row, its entry in the
/// index and its flags.
const BYTES_A_KEY: usize = 96;

/// What a cell costs, empty or not.
const BYTES_A_CELL: usize = 32;

/// Values up to this length lie within their cell.
const INLINE_BYTES: usize = 16;

/// All cells of the key are in memory.
const LOADED: u8 = 1;
/// The key was used since the hand came by.
const USED: u8 = 2;
/// A cell of the key differs from what the store has.
const DIRTY: u8 = 4;

/// The cache's knowledge of the cells.
#[derive(Debug)]
pub(super) struct Cache {
    pub(super) store: Box<dyn Store>,
    budget: usize,
    bytes: usize,
    max_parallelism: u32,
    /// By slot.
    flags: Vec<u8>,
    /// By state, by slot: whether that cell differs from what the store has.
    changed: Vec<Vec<bool>>,
    dirty: Vec<Slot>,
    hand: usize,
    missing: Vec<Slot>,
}

impl Cache {
    /// A cache of `budget` bytes for so many states.
    pub(super) fn new(
        store: Box<dyn Store>,
        budget: usize,
        states: usize,
        max_parallelism: u32,
    ) -> Self {
        Self {
            store,
            budget,
            bytes: 0,
            max_parallelism,
            flags: Vec::new(),
            changed: vec![Vec::new(); states],
            dirty: Vec::new(),
            hand: 0,
            missing: Vec::new(),
        }
    }

    /// Makes room for so many slots.
    pub(super) fn grow(&mut self, slots: usize) {
        if self.flags.len() < slots {
            self.flags.resize(slots, 0);
            self.changed.iter_mut().for_each(|changed| changed.resize(slots, false));
        }
    }

    /// Makes room for more states. No key has any of them.
    pub(super) fn add_states(&mut self, states: usize) {
        let slots = self.flags.len();
        self.changed.resize_with(states, || vec![false; slots]);
    }

    /// Brings the cells of some keys into memory, those that are missing with one read.
    pub(super) fn load(
        &mut self,
        slots: &[Slot],
        keys: &mut KeyTable,
        columns: &mut [Column],
    ) -> Result<()> {
        let mut missing = std::mem::take(&mut self.missing);
        missing.clear();
        for &slot in slots {
            let flags = &mut self.flags[slot.index()];
            if *flags & LOADED == 0 {
                missing.push(slot);
                keys.retain(slot);
            }
            *flags |= LOADED | USED;
        }
        if !missing.is_empty() {
            let max = self.max_parallelism;
            let mut wanted = Vec::with_capacity(missing.len() * columns.len());
            for &slot in &missing {
                let group = keys.hash(slot).key_group(max);
                let key = keys.key(slot);
                wanted.extend((0..columns.len()).map(|state| StoredKey {
                    group,
                    state: state as u16,
                    key,
                }));
            }
            let states = columns.len();
            self.store.load(&wanted, &mut |index, cell| {
                columns[index % states].set(missing[index / states], Some(cell));
            })?;
            let sizes = missing.iter().map(|&slot| size(slot, keys, columns));
            self.bytes += sizes.sum::<usize>();
        }
        self.missing = missing;
        Ok(())
    }

    /// Takes note that a cell has changed from one length to another.
    pub(super) fn note(&mut self, slot: Slot, state: usize, before: usize, after: usize) {
        self.bytes = self.bytes + spilled(after) - spilled(before);
        self.changed[state][slot.index()] = true;
        let flags = &mut self.flags[slot.index()];
        if *flags & DIRTY == 0 {
            *flags |= DIRTY;
            self.dirty.push(slot);
        }
    }

    /// Writes everything that differs from what the store has.
    pub(super) fn write_back(&mut self, keys: &KeyTable, columns: &[Column]) -> Result<()> {
        let dirty = std::mem::take(&mut self.dirty);
        self.write(&dirty, keys, columns)
    }

    fn write(&mut self, slots: &[Slot], keys: &KeyTable, columns: &[Column]) -> Result<()> {
        let mut cells = Vec::new();
        for &slot in slots {
            self.flags[slot.index()] &= !DIRTY;
            let group = keys.hash(slot).key_group(self.max_parallelism);
            let key = keys.key(slot);
            for (state, column) in columns.iter().enumerate() {
                if std::mem::take(&mut self.changed[state][slot.index()]) {
                    let stored = StoredKey { group, state: state as u16, key };
                    cells.push((stored, column.get(slot)));
                }
            }
        }
        let changes = cells.iter().map(|(stored, cell)| (*stored, cell.as_deref()));
        let mut changes: Vec<_> = changes.collect();
        if changes.is_empty() { Ok(()) } else { self.store.write(&mut changes) }
    }

    /// Evicts keys if there are too many, down to seven eighths, so that what they changed is
    /// written in few batches.
    pub(super) fn trim(&mut self, keys: &mut KeyTable, columns: &mut [Column]) -> Result<()> {
        if self.bytes <= self.budget {
            return Ok(());
        }
        let target = self.budget - self.budget / 8;
        let mut evicted = Vec::new();
        // Two rounds: the first may find every key used.
        for _ in 0..2 * self.flags.len() {
            if self.bytes <= target {
                break;
            }
            let slot = Slot(self.hand as u32);
            self.hand = (self.hand + 1) % self.flags.len();
            let flags = &mut self.flags[slot.index()];
            if *flags & USED != 0 {
                *flags &= !USED;
            } else if *flags & LOADED != 0 {
                *flags &= !LOADED;
                self.bytes -= size(slot, keys, columns);
                evicted.push(slot);
            }
        }
        let dirty: Vec<Slot> =
            evicted.iter().copied().filter(|slot| self.flags[slot.index()] & DIRTY != 0).collect();
        self.write(&dirty, keys, columns)?;
        let flags = &self.flags;
        self.dirty.retain(|slot| flags[slot.index()] & DIRTY != 0);
        for slot in evicted {
            columns.iter_mut().for_each(|column| column.set(slot, None));
            keys.release(slot);
            keys.sweep(slot);
        }
        Ok(())
    }
}

/// The bytes that a value takes outside of its cell.
fn spilled(length: usize) -> usize {
    if length <= INLINE_BYTES { 0 } else { length }
}

fn size(slot: Slot, keys: &KeyTable, columns: &[Column]) -> usize {
    let cell = |column: &Column| BYTES_A_CELL + spilled(column.length(slot).unwrap_or(0));
    BYTES_A_KEY + keys.key(slot).len() + columns.iter().map(cell).sum::<usize>()
}
