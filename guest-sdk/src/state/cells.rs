//! The states of one call, one column of cells for each declared state.
//!
//! The contract's packing of state begins and ends here. What the host sends is trusted as far as
//! memory safety goes without trust anyway; a host that breaks the contract ends in a panic, which
//! is a trap.

use super::list_cells::ListCells;
use super::map_cells::MapCells;
use super::value_cells::ValueCells;
use crate::bindings::tidegate::function::declarations::StateKind;
use crate::bindings::tidegate::function::types::{
    OperatorStateChanges, Packed, StateChanges, StateColumn,
};
use crate::bytes;

/// Operations of the contract.
pub(super) const CLEAR: u8 = 0;
pub(super) const PUT: u8 = 1;
pub(super) const APPEND: u8 = 1;
pub(super) const REMOVE: u8 = 2;

/// The cells of one state, by the shape of what a key holds.
pub(crate) enum Cells {
    /// Value, reducing and aggregating state.
    Value(ValueCells),
    List(ListCells),
    Map(MapCells),
}

impl Cells {
    /// Takes the column of one state for `keys` keys.
    pub(crate) fn new(kind: StateKind, column: StateColumn, keys: usize) -> Self {
        assert_eq!(column.forms.len(), keys, "the host sends the state of each key");
        assert_eq!(column.values.ends.len(), keys, "the host sends the state of each key");
        match kind {
            StateKind::Value | StateKind::Reducing | StateKind::Aggregating => {
                Cells::Value(ValueCells::new(column))
            }
            StateKind::List => Cells::List(ListCells::new(column)),
            StateKind::Map => Cells::Map(MapCells::new(column)),
        }
    }

    /// The cell of a partition: one, with what the host has.
    pub(super) fn one(kind: StateKind, value: Vec<u8>) -> Self {
        let form = u8::from(!value.is_empty());
        let ends = vec![value.len() as u32];
        let values = Packed { bytes: value, ends };
        Self::new(kind, StateColumn { state: 0, forms: vec![form], values }, 1)
    }

    /// What the cell of a partition holds now, as the host packs it.
    pub(super) fn pack_one(&mut self) -> Vec<u8> {
        let mut packed = Vec::new();
        match self {
            Cells::Value(_) => unreachable!("operator state is a list or a map"),
            Cells::List(cells) => {
                cells.elements(0).for_each(|element| push_framed(&mut packed, element));
            }
            Cells::Map(cells) => {
                for (map_key, value) in cells.entries(0) {
                    push_framed(&mut packed, map_key);
                    push_framed(&mut packed, value);
                }
            }
        }
        packed
    }

    /// What the call changed, None if nothing.
    pub(crate) fn changes(&self, state: u32) -> Option<StateChanges> {
        let Changes { keys, operations, entries } = self.collect_changes()?;
        Some(StateChanges { state, keys, operations, entries })
    }

    /// What the call changed in the cell of a partition, None if nothing.
    pub(super) fn operator_changes(&self, state: u32) -> Option<OperatorStateChanges> {
        let Changes { operations, entries, .. } = self.collect_changes()?;
        Some(OperatorStateChanges { state, operations, entries })
    }

    fn collect_changes(&self) -> Option<Changes> {
        let mut changes = Changes::default();
        match self {
            Cells::Value(cells) => cells.write_changes(&mut changes),
            Cells::List(cells) => cells.write_changes(&mut changes),
            Cells::Map(cells) => cells.write_changes(&mut changes),
        }
        (!changes.keys.is_empty()).then_some(changes)
    }
}

/// The changes of one state as they grow.
pub(super) struct Changes {
    keys: Vec<u32>,
    operations: Vec<u8>,
    entries: Packed,
}

impl Default for Changes {
    fn default() -> Self {
        let entries = Packed { bytes: Vec::new(), ends: Vec::new() };
        Self { keys: Vec::new(), operations: Vec::new(), entries }
    }
}

impl Changes {
    #[inline]
    pub(super) fn push(&mut self, key: usize, operation: u8, entry: &[u8]) {
        self.keys.push(key as u32);
        self.operations.push(operation);
        bytes::append(&mut self.entries.bytes, entry);
        self.entries.ends.push(self.entries.bytes.len() as u32);
    }

    /// Adds a change whose entry comes in two parts.
    #[inline]
    pub(super) fn push_pair(&mut self, key: usize, operation: u8, entry: &[u8], rest: &[u8]) {
        bytes::append(&mut self.entries.bytes, entry);
        self.push(key, operation, rest);
    }

    /// Makes room for `count` changes of `bytes` bytes together.
    pub(super) fn reserve(&mut self, count: usize, bytes: usize) {
        self.keys.reserve(count);
        self.operations.reserve(count);
        self.entries.ends.reserve(count);
        self.entries.bytes.reserve(bytes);
    }
}

/// A piece of the buffer of a column. 32 bits suffice, since a guest's memory has no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Span {
    pub(super) const EMPTY: Span = Span { start: 0, end: 0 };

    #[inline]
    pub(super) fn new(start: usize, end: usize) -> Self {
        debug_assert!(start <= end && u32::try_from(end).is_ok());
        Self { start: start as u32, end: end as u32 }
    }

    #[inline]
    pub(super) fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }

    #[inline]
    pub(super) fn length(self) -> usize {
        (self.end - self.start) as usize
    }
}

/// In which form the host has sent the state of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// There is none.
    Nothing,
    /// Whole.
    Whole,
    /// Not at all: it is read in pieces.
    Held,
}

/// For each key the form of its state, and where it is in the pushed bytes.
pub(super) fn pushed<'c>(
    forms: &'c [u8],
    ends: &'c [u32],
) -> impl Iterator<Item = (Form, Span)> + 'c {
    let mut start = 0;
    forms.iter().zip(ends).map(move |(form, end)| {
        let form = match form {
            0 => Form::Nothing,
            1 => Form::Whole,
            2 => Form::Held,
            _ => panic!("the host sends forms of state that this SDK knows"),
        };
        let span = Span { start, end: *end };
        start = *end;
        (form, span)
    })
}

/// The strings of a column that was read from the host, from one on.
pub(crate) struct Piece {
    strings: Packed,
    next: usize,
}

impl Piece {
    pub(super) const EMPTY: Self =
        Self { strings: Packed { bytes: Vec::new(), ends: Vec::new() }, next: 0 };

    pub(super) fn new(strings: Packed) -> Self {
        Self { strings, next: 0 }
    }

    /// The string at hand.
    pub(super) fn peek(&self) -> Option<&[u8]> {
        let end = *self.strings.ends.get(self.next)?;
        let start = self.next.checked_sub(1).map_or(0, |before| self.strings.ends[before]);
        Some(&self.strings.bytes[start as usize..end as usize])
    }

    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// The last of all strings.
    pub(super) fn last(&self) -> Option<&[u8]> {
        let before = self.strings.ends.len().checked_sub(1)?;
        let start = before.checked_sub(1).map_or(0, |before| self.strings.ends[before]);
        Some(&self.strings.bytes[start as usize..])
    }
}

/// Appends a string with its length before it.
pub(super) fn push_framed(packed: &mut Vec<u8>, string: &[u8]) {
    packed.extend_from_slice(&(string.len() as u32).to_le_bytes());
    bytes::append(packed, string);
}

/// Cuts a string with its length before it off `bytes`, as lists and maps are packed. Gives where
/// the string is, and moves `at` behind it.
#[inline]
pub(super) fn take_framed(bytes: &[u8], at: &mut u32) -> Span {
    let start = *at as usize + 4;
    let mut length = [0; 4];
    length.copy_from_slice(&bytes[*at as usize..start]);
    let span = Span::new(start, start + u32::from_le_bytes(length) as usize);
    *at = span.end;
    span
}
