//! One state of all keys of a partition: cells by slot.

use super::Slot;
use std::borrow::Cow;
use std::sync::Arc;

use super::cell::{self, Cell};
use super::key_table::{AHEAD, prefetch};
use super::long::{LongList, LongMap};
use crate::model::{Packed, StateKind};

/// The cells of one declared state.
#[derive(Debug)]
pub(super) struct Column {
    kind: StateKind,
    cells: Vec<Place>,
    /// No cell has more bytes.
    longest: usize,
}

/// The cell of a slot, if it has one. None lies across two cache lines.
#[derive(Debug, Default)]
#[repr(align(32))]
struct Place(Option<Cell>);

const _: () = assert!(size_of::<Place>() == 32);

/// One change to one state, as in the contract, of a key that the caller has found.
#[derive(Debug, Clone, Copy)]
pub struct StateChange<'a> {
    /// Whose state.
    pub slot: Slot,
    /// The operation, valid for the state's kind.
    pub operation: u8,
    /// Its entry.
    pub entry: &'a [u8],
}

/// A list or map that a call reads in part, as it is before the call.
#[derive(Debug, Clone)]
pub enum HeldCell {
    /// Elements in order.
    List(Arc<LongList>),
    /// Entries by key.
    Map(Arc<LongMap>),
}

/// Which state of which key of a call is held back.
#[derive(Debug, Clone)]
pub struct Held {
    /// Index of the declared state.
    pub state: u32,
    /// Index of the key among the call's keys.
    pub key: u32,
    /// What the key has.
    pub cell: HeldCell,
}

/// What a change did to a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The key had no such state and has it now.
    Appeared,
    /// The key had it and has it no more.
    Vanished,
    /// Neither.
    Changed,
}

impl Column {
    pub(super) fn new(kind: StateKind) -> Self {
        Self { kind, cells: Vec::new(), longest: 0 }
    }

    /// The kind of its cells.
    pub(super) fn kind(&self) -> StateKind {
        self.kind
    }

    /// Makes room for so many slots.
    pub(super) fn grow(&mut self, slots: usize) {
        if self.cells.len() < slots {
            self.cells.resize_with(slots, Place::default);
        }
    }

    /// The encoding of what a key has, if it has anything.
    pub(super) fn get(&self, slot: Slot) -> Option<Cow<'_, [u8]>> {
        self.cell(slot).map(Cell::encoded)
    }

    /// The length of that encoding.
    pub(super) fn length(&self, slot: Slot) -> Option<usize> {
        self.cell(slot).map(Cell::len)
    }

    fn cell(&self, slot: Slot) -> Option<&Cell> {
        self.cells.get(slot.index())?.0.as_ref()
    }

    /// Puts a whole cell in place, or none.
    pub(super) fn set(&mut self, slot: Slot, encoded: Option<&[u8]>) {
        self.longest = self.longest.max(encoded.map_or(0, <[u8]>::len));
        self.cells[slot.index()].0 = encoded.map(|encoded| Cell::of(self.kind, encoded));
    }

    /// Starts to bring the cell of a key into the cache.
    #[inline]
    pub(super) fn prefetch(&self, slot: Slot) {
        if let Some(place) = self.cells.get(slot.index()) {
            prefetch(place);
        }
    }

    /// Appends the state of some keys to `forms` and `values` as in the contract's `state-column`.
    /// Lists and maps of more than `whole_max` bytes go to `hold`, with the index of their key.
    pub(super) fn read(
        &self,
        slots: &[Slot],
        whole_max: usize,
        forms: &mut Vec<u8>,
        values: &mut Packed,
        hold: &mut dyn FnMut(usize, HeldCell),
    ) {
        slots.iter().take(AHEAD).for_each(|slot| self.prefetch(*slot));
        for (key, &slot) in slots.iter().enumerate() {
            if let Some(&later) = slots.get(key + AHEAD) {
                self.prefetch(later);
            }
            let held = match self.cell(slot) {
                None => {
                    forms.push(0);
                    values.seal();
                    continue;
                }
                Some(Cell::Encoded(bytes)) => {
                    forms.push(1);
                    values.push(bytes);
                    continue;
                }
                Some(cell) if cell.len() <= whole_max => {
                    forms.push(1);
                    values.push(&cell.encoded());
                    continue;
                }
                Some(Cell::List(list)) => HeldCell::List(list.clone()),
                Some(Cell::Map(map)) => HeldCell::Map(map.clone()),
            };
            forms.push(2);
            values.seal();
            hold(key, held);
        }
    }

    /// Applies one change to a slot that there is room for.
    pub(super) fn apply(&mut self, change: StateChange<'_>) -> Effect {
        let cell = &mut self.cells[change.slot.index()].0;
        let before = cell.is_some();
        cell::apply(cell, self.kind, change.operation, change.entry);
        self.longest = self.longest.max(cell.as_ref().map_or(0, Cell::len));
        match (before, cell.is_some()) {
            (false, true) => Effect::Appeared,
            (true, false) => Effect::Vanished,
            _ => Effect::Changed,
        }
    }

    /// The first key whose state would have more than `bytes_max` bytes after these changes, and
    /// how many.
    pub(super) fn find_oversized<'a>(
        &self,
        changes: impl Iterator<Item = StateChange<'a>> + Clone,
        bytes_max: usize,
    ) -> Option<(Slot, usize)> {
        // What all changes add to the longest cell is a bound that nearly always settles it. Each
        // entry of a list or map comes with at most eight bytes of lengths.
        let added: usize = changes.clone().map(|change| change.entry.len() + 8).sum();
        if added + self.longest <= bytes_max {
            return None;
        }
        let mut after = std::collections::BTreeMap::new();
        for change in changes {
            let cell = after.entry(change.slot).or_insert_with(|| self.cell(change.slot).cloned());
            cell::apply(cell, self.kind, change.operation, change.entry);
        }
        let size = |cell: Option<Cell>| cell.map_or(0, |cell| cell.len());
        let mut sizes = after.into_iter().map(|(slot, cell)| (slot, size(cell)));
        sizes.find(|(_, size)| *size > bytes_max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(slot: Slot, operation: u8, entry: &[u8]) -> StateChange<'_> {
        StateChange { slot, operation, entry }
    }

    const SLOTS: [Slot; 2] = [Slot(0), Slot(1)];

    fn column(kind: StateKind) -> Column {
        let mut column = Column::new(kind);
        column.grow(2);
        column
    }

    #[test]
    fn reads_what_was_put_and_tells_what_appears_and_vanishes() {
        let mut column = column(StateKind::Value);
        assert_eq!(column.apply(change(SLOTS[1], 1, b"x")), Effect::Appeared);
        assert_eq!(column.apply(change(SLOTS[1], 1, b"")), Effect::Changed);
        let (mut forms, mut values) = (Vec::new(), Packed::default());
        column.read(&SLOTS, usize::MAX, &mut forms, &mut values, &mut |_, _| {});
        assert_eq!((forms, values.ends), (vec![0, 1], vec![0, 0]));
        assert_eq!(column.apply(change(SLOTS[1], 0, b"")), Effect::Vanished);
    }

    #[test]
    fn finds_the_key_whose_list_outgrows_the_limit() {
        let mut column = column(StateKind::List);
        for slot in SLOTS {
            column.apply(change(slot, 1, b"123456"));
        }
        let more = [
            change(SLOTS[0], 0, b""),
            change(SLOTS[0], 1, b"1234567890"),
            change(SLOTS[1], 1, b"1"),
        ];
        assert_eq!(column.find_oversized(more.iter().copied(), 14), Some((SLOTS[1], 15)));
        assert_eq!(column.find_oversized(more.iter().copied(), 15), None);
    }
}
