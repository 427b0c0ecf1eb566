//! A list of byte strings a key. Appending never looks at what the host pushed.

use super::cells::{APPEND, CLEAR, Changes, Span, pushed, take_framed};
use super::ttl::{Found, Moment};
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
    /// Whether pushed elements differ from what the host has.
    is_rewritten: bool,
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
            is_rewritten: false,
            first: NONE,
            last: NONE,
        };
        let cells = pushed(&column.forms, &column.values.ends).map(cell).collect();
        Self { bytes: column.values.bytes, cells, appended: Vec::new() }
    }

    /// The stored elements of a key in order. At a moment at which reads are accesses, this is one.
    pub(crate) fn read(
        &mut self,
        key: usize,
        moment: Option<Moment>,
    ) -> impl Iterator<Item = &[u8]> {
        if let Some(moment) = moment.filter(Moment::counts_reads) {
            self.access(key, moment);
        }
        let cell = &self.cells[key];
        let elements = pushed_elements(&self.bytes, cell.pushed).chain(self.chain(cell));
        elements.map(|element| element.of(&self.bytes))
    }

    /// Notes an access to every element that is alive, for which all of them are written anew.
    fn access(&mut self, key: usize, moment: Moment) {
        let cell = &self.cells[key];
        let elements = pushed_elements(&self.bytes, cell.pushed).chain(self.chain(cell));
        let alive =
            |element: &Span| matches!(moment.find(element.of(&self.bytes)), Found::Accessed);
        let accessed: Vec<Span> = elements.filter(alive).collect();
        for element in &accessed {
            moment.restamp(&mut self.bytes, element.start);
        }
        self.cells[key].is_rewritten |= !accessed.is_empty();
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
        cell.is_rewritten = false;
        cell.first = NONE;
        cell.last = NONE;
    }

    /// Writes for each key that it was cleared, if so, then what was appended since.
    pub(super) fn write_changes(&self, changes: &mut Changes) {
        changes.reserve(self.appended.len(), 0);
        for (key, cell) in self.cells.iter().enumerate() {
            if (cell.is_cleared || cell.is_rewritten) && cell.is_stored {
                changes.push(key, CLEAR, &[]);
            }
            if cell.is_rewritten {
                for element in pushed_elements(&self.bytes, cell.pushed) {
                    changes.push(key, APPEND, element.of(&self.bytes));
                }
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

/// The elements of a pushed list.
fn pushed_elements(bytes: &[u8], list: Span) -> impl Iterator<Item = Span> + '_ {
    let mut at = list.start;
    std::iter::from_fn(move || (at < list.end).then(|| take_framed(bytes, &mut at)))
}
