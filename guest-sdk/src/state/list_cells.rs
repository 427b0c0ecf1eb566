//! A list of byte strings a key. Appending never looks at what the host pushed.

use super::cells::{APPEND, CLEAR, Changes, Span, pushed, take_framed};
use crate::bindings::tidegate::function::types::StateColumn;
use crate::error::Result;

/// Ends a chain of appended elements.
const NONE: u32 = u32::MAX;

/// The lists of one state for the keys of a call.
pub(crate) struct ListCells {
    /// The pushed lists, then the appended elements.
    bytes: Vec<u8>,
    cells: Vec<Cell>,
    /// Appended elements of all keys, in the order of the calls. Those of one key are chained.
    appended: Vec<Appended>,
}

/// The list of one key: what was pushed, then a chain of appended elements.
struct Cell {
    /// The pushed list; empty once it is cleared.
    pushed: Span,
    /// Whether the host has a list.
    is_stored: bool,
    is_cleared: bool,
    first: u32,
    last: u32,
}

struct Appended {
    element: Span,
    next: u32,
}

impl ListCells {
    pub(super) fn new(column: StateColumn) -> Self {
        let cell = |(is_stored, pushed)| Cell {
            pushed,
            is_stored,
            is_cleared: false,
            first: NONE,
            last: NONE,
        };
        let cells = pushed(&column.forms, &column.values.ends).map(cell).collect();
        Self { bytes: column.values.bytes, cells, appended: Vec::new() }
    }

    /// Calls `each` with every element of a key in order, until it fails.
    pub(crate) fn for_each<'c>(
        &'c self,
        key: usize,
        mut each: impl FnMut(&'c [u8]) -> Result<()>,
    ) -> Result<()> {
        let cell = &self.cells[key];
        let mut at = cell.pushed.start;
        while at < cell.pushed.end {
            each(take_framed(&self.bytes, &mut at).of(&self.bytes))?;
        }
        self.chain(cell).try_for_each(|element| each(element.of(&self.bytes)))
    }

    /// Whether a key has no element.
    pub(crate) fn is_empty(&self, key: usize) -> bool {
        let cell = &self.cells[key];
        cell.pushed.length() == 0 && cell.first == NONE
    }

    /// Adds the element that `write` appends. If it fails nothing is changed.
    pub(crate) fn append(
        &mut self,
        key: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let tail = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(tail);
            return Err(error);
        }
        let added = self.appended.len() as u32;
        self.appended.push(Appended { element: Span::new(tail, self.bytes.len()), next: NONE });
        let cell = &mut self.cells[key];
        match cell.last {
            NONE => cell.first = added,
            last => self.appended[last as usize].next = added,
        }
        cell.last = added;
        Ok(())
    }

    /// Removes all elements of a key, pushed and appended.
    pub(crate) fn clear(&mut self, key: usize) {
        let cell = &mut self.cells[key];
        cell.pushed = Span::EMPTY;
        cell.is_cleared = true;
        cell.first = NONE;
        cell.last = NONE;
    }

    /// Writes for each key that it was cleared, if so, then what was appended since.
    pub(super) fn write_changes(self, changes: &mut Changes) {
        changes.reserve(self.appended.len(), 0);
        for (key, cell) in self.cells.iter().enumerate() {
            if cell.is_cleared && cell.is_stored {
                changes.push(key, CLEAR, &[]);
            }
            for element in self.chain(cell) {
                changes.push(key, APPEND, element.of(&self.bytes));
            }
        }
    }

    /// The appended elements of a key in order.
    fn chain(&self, cell: &Cell) -> impl Iterator<Item = Span> + '_ {
        let mut at = cell.first;
        std::iter::from_fn(move || {
            let appended = self.appended.get(at as usize)?;
            at = appended.next;
            Some(appended.element)
        })
    }
}
