//! A bounded write-back cache of cells above a store.
//!
//! A key is loaded with all its states, or not at all. Changed cells are written in one batch when
//! their keys are evicted. Which key goes is decided by the clock algorithm: the hand passes over
//! the slots, a key that was used since it last came by gets another round (Corbató, A Paging
//! Experiment with the Multics System, 1968).
//!
//! A barrier makes what has changed due to be written, which is done beside the records after it,
//! in steps. What is due and about to change again is copied first, so that the store comes to hold
//! what there was at the barrier. Until it has been frozen, nothing newer may reach it: keys that
//! have changed since the barrier are not evicted.

use super::Slot;
use super::column::Column;
use super::key_table::KeyTable;
use super::store::{Store, StoredKey};
use crate::error::Result;
use crate::model::{KeyGroup, Packed};

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
/// A cell of the key has changed since the last barrier and differs from what the store has.
const DIRTY: u8 = 4;
/// A cell of the key differed from what the store has at the last barrier, and has not changed
/// since. A key is never both.
const DUE: u8 = 8;

/// What is due is written in about so many steps, however much it is. Fewer would each take longer
/// than records should wait; more would make checkpoints last.
const STEPS: usize = 512;

/// But not less in a step.
const CELLS_A_STEP_MIN: usize = 32;

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
    /// Those that are due, and others that have been written already.
    due: Vec<Slot>,
    /// What is due of keys that have changed since.
    copies: Copies,
    /// How much one step writes.
    cells_a_step: usize,
    /// Whether the store does not hold yet what there was at the last barrier.
    is_writing_back: bool,
    hand: usize,
    missing: Vec<Slot>,
}

/// Cells as they were at the last barrier.
#[derive(Debug, Default)]
struct Copies {
    /// Group and state of each, and whether there is a cell.
    places: Vec<(KeyGroup, u16, bool)>,
    keys: Packed,
    cells: Packed,
    /// How many of them have been written.
    written: usize,
}

impl Copies {
    fn push(&mut self, stored: StoredKey<'_>, cell: Option<&[u8]>) {
        self.places.push((stored.group, stored.state, cell.is_some()));
        self.keys.push(stored.key);
        self.cells.push(cell.unwrap_or_default());
    }

    fn get(&self, index: usize) -> (StoredKey<'_>, Option<&[u8]>) {
        let (group, state, is_there) = self.places[index];
        let stored = StoredKey { group, key: self.keys.get(index), state };
        (stored, is_there.then(|| self.cells.get(index)))
    }

    /// How many have not been written.
    fn waiting(&self) -> usize {
        self.places.len() - self.written
    }

    /// Takes note that some more have been written.
    fn advance(&mut self, written: usize) {
        self.written += written;
        if self.waiting() == 0 {
            self.places.clear();
            self.keys.clear();
            self.cells.clear();
            self.written = 0;
        }
    }
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
            due: Vec::new(),
            copies: Copies::default(),
            cells_a_step: 0,
            is_writing_back: false,
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

    /// Makes all that differs from what the store has due to be written. What is due since the
    /// barrier before stays so, but copies are written now: a key may come to be due again.
    pub(super) fn begin_write_back(&mut self, keys: &KeyTable, columns: &[Column]) -> Result<()> {
        let copies = self.copies.waiting();
        self.write(&[], DUE, copies, keys, columns)?;
        self.copies.advance(copies);
        self.is_writing_back = true;
        for slot in self.dirty.drain(..) {
            let flags = &mut self.flags[slot.index()];
            if *flags & DIRTY != 0 {
                *flags = *flags & !DIRTY | DUE;
                self.due.push(slot);
            }
        }
        self.cells_a_step = (self.due.len() / STEPS).max(CELLS_A_STEP_MIN);
        Ok(())
    }

    /// Must be called before a cell of a key changes.
    pub(super) fn about_to_change(&mut self, slot: Slot, keys: &KeyTable, columns: &[Column]) {
        let flags = &mut self.flags[slot.index()];
        if *flags & DUE == 0 {
            return;
        }
        *flags &= !DUE;
        let group = keys.hash(slot).key_group(self.max_parallelism);
        for (state, column) in columns.iter().enumerate() {
            if std::mem::take(&mut self.changed[state][slot.index()]) {
                let stored = StoredKey { group, state: state as u16, key: keys.key(slot) };
                self.copies.push(stored, column.get(slot).as_deref());
            }
        }
    }

    /// Writes some of what is due. Returns whether that was all.
    pub(super) fn write_back_some(&mut self, keys: &KeyTable, columns: &[Column]) -> Result<bool> {
        // Copies are memory beyond the budget, so many of them must not wait.
        let waiting = self.copies.waiting();
        let is_much = self.copies.cells.bytes.len() > self.budget / 8;
        let copies = if is_much { waiting } else { self.cells_a_step.min(waiting) };
        let more = self.cells_a_step.saturating_sub(copies).min(self.due.len());
        let due = self.due.split_off(self.due.len() - more);
        self.write(&due, DUE, copies, keys, columns)?;
        self.copies.advance(copies);
        self.is_writing_back = !self.due.is_empty() || self.copies.waiting() > 0;
        Ok(!self.is_writing_back)
    }

    /// Whether the store is about to be frozen as of the last barrier, and must not get anything
    /// newer.
    pub(super) fn is_behind(&self) -> bool {
        self.is_writing_back || self.store.is_freezing()
    }

    /// Writes those of `slots` that are `flag`, and so many copies.
    fn write(
        &mut self,
        slots: &[Slot],
        flag: u8,
        copies: usize,
        keys: &KeyTable,
        columns: &[Column],
    ) -> Result<()> {
        let mut cells = Vec::new();
        for &slot in slots {
            let flags = &mut self.flags[slot.index()];
            if *flags & flag == 0 {
                continue;
            }
            *flags &= !flag;
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
        let written = self.copies.written;
        let copied = (written..written + copies).map(|index| self.copies.get(index));
        let mut changes: Vec<_> = changes.chain(copied).collect();
        if changes.is_empty() { Ok(()) } else { self.store.write(&mut changes) }
    }

    /// Evicts keys if there are too many, down to seven eighths, so that what they changed is
    /// written in few batches. Returns whether that was enough: not if the store is behind and what
    /// has changed since the barrier takes up all there is.
    pub(super) fn trim(&mut self, keys: &mut KeyTable, columns: &mut [Column]) -> Result<bool> {
        if self.bytes <= self.budget {
            return Ok(true);
        }
        let target = self.budget - self.budget / 8;
        let kept = if self.is_behind() { DIRTY } else { 0 };
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
            } else if *flags & LOADED != 0 && *flags & kept == 0 {
                *flags &= !LOADED;
                self.bytes -= size(slot, keys, columns);
                evicted.push(slot);
            }
        }
        self.write(&evicted, DIRTY | DUE, 0, keys, columns)?;
        let flags = &self.flags;
        self.dirty.retain(|slot| flags[slot.index()] & DIRTY != 0);
        for slot in evicted {
            columns.iter_mut().for_each(|column| column.set(slot, None));
            keys.release(slot);
        }
        keys.sweep();
        Ok(self.bytes <= self.budget)
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
