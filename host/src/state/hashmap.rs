//! The `hashmap` backend: the state of a partition on the heap, in columns by slot.

use super::cell::{self, Cell};
use super::key_table::prefetch;
use super::{KeyTable, Slot};
use crate::model::{Packed, StateKind};

/// The keyed states of one partition.
#[derive(Debug)]
pub struct HashMapBackend {
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    kind: StateKind,
    cells: Vec<Option<Cell>>,
}

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

impl HashMapBackend {
    /// A backend without any state, for states of these kinds.
    pub fn new(kinds: impl IntoIterator<Item = StateKind>) -> Self {
        let column = |kind| Column { kind, cells: Vec::new() };
        Self { columns: kinds.into_iter().map(column).collect() }
    }

    /// Starts to bring the states of some keys into the cache.
    pub fn prefetch(&self, slots: &[Slot]) {
        for column in &self.columns {
            slots.iter().filter_map(|slot| column.cells.get(slot.index())).for_each(prefetch);
        }
    }

    /// Reads one state of some keys: appends to `forms` and `values` as in the contract's
    /// `state-column`.
    pub fn read(&self, state: usize, slots: &[Slot], forms: &mut Vec<u8>, values: &mut Packed) {
        let cells = &self.columns[state].cells;
        for slot in slots {
            match cells.get(slot.index()) {
                Some(Some(cell)) => {
                    forms.push(1);
                    values.push(cell);
                }
                _ => {
                    forms.push(0);
                    values.seal();
                }
            }
        }
    }

    /// The first key whose state would have more than `bytes_max` bytes after these changes, and
    /// how many.
    pub fn find_oversized<'a>(
        &self,
        state: usize,
        changes: impl Iterator<Item = StateChange<'a>> + Clone,
        bytes_max: usize,
    ) -> Option<(Slot, usize)> {
        let column = &self.columns[state];
        let before = |slot: Slot| column.cells.get(slot.index()).and_then(Option::as_ref);
        // What all changes add to the largest state is a bound that nearly always settles it. Each
        // entry of a list or map comes with at most eight bytes of lengths.
        let added: usize = changes.clone().map(|change| change.entry.len() + 8).sum();
        let largest = changes.clone().filter_map(|change| before(change.slot).map(Cell::len)).max();
        if added + largest.unwrap_or(0) <= bytes_max {
            return None;
        }
        let mut after = std::collections::BTreeMap::new();
        for change in changes {
            let cell = after.entry(change.slot).or_insert_with(|| before(change.slot).cloned());
            cell::apply(cell, column.kind, change.operation, change.entry);
        }
        let size = |cell: Option<Cell>| cell.map_or(0, |cell| cell.len());
        let mut sizes = after.into_iter().map(|(slot, cell)| (slot, size(cell)));
        sizes.find(|(_, size)| *size > bytes_max)
    }

    /// Applies changes to one state in order.
    pub fn apply<'a>(
        &mut self,
        state: usize,
        keys: &mut KeyTable,
        changes: impl Iterator<Item = StateChange<'a>>,
    ) {
        let column = &mut self.columns[state];
        if column.cells.len() < keys.slots() {
            column.cells.resize_with(keys.slots(), || None);
        }
        for change in changes {
            let cell = &mut column.cells[change.slot.index()];
            let before = cell.is_some();
            cell::apply(cell, column.kind, change.operation, change.entry);
            match (before, cell.is_some()) {
                (false, true) => keys.retain(change.slot),
                (true, false) => keys.release(change.slot),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::KeyHash;

    fn change(slot: Slot, operation: u8, entry: &[u8]) -> StateChange<'_> {
        StateChange { slot, operation, entry }
    }

    #[test]
    fn reads_what_was_put_and_counts_uses() {
        let mut keys = KeyTable::default();
        let slots: Vec<Slot> = [b"a", b"b"].map(|key| keys.enter(key, KeyHash::of(key))).into();
        let mut backend = HashMapBackend::new([StateKind::Value]);
        backend.apply(
            0,
            &mut keys,
            [change(slots[1], 1, b"x"), change(slots[1], 1, b"")].into_iter(),
        );
        let (mut forms, mut values) = (Vec::new(), Packed::default());
        backend.read(0, &slots, &mut forms, &mut values);
        assert_eq!((forms, values.ends), (vec![0, 1], vec![0, 0]));
        backend.apply(0, &mut keys, [change(slots[1], 0, b"")].into_iter());
        slots.iter().for_each(|slot| keys.sweep(*slot));
        assert!(keys.is_empty());
    }

    #[test]
    fn finds_the_key_whose_list_outgrows_the_limit() {
        let mut keys = KeyTable::default();
        let slots: Vec<Slot> = [b"a", b"b"].map(|key| keys.enter(key, KeyHash::of(key))).into();
        let mut backend = HashMapBackend::new([StateKind::List]);
        let fill: Vec<_> = slots.iter().map(|slot| change(*slot, 1, b"123456")).collect();
        backend.apply(0, &mut keys, fill.iter().copied());
        let more = [
            change(slots[0], 0, b""),
            change(slots[0], 1, b"1234567890"),
            change(slots[1], 1, b"1"),
        ];
        assert_eq!(backend.find_oversized(0, more.iter().copied(), 14), Some((slots[1], 15)));
        assert_eq!(backend.find_oversized(0, more.iter().copied(), 15), None);
    }
}
