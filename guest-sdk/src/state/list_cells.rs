//! A list of byte strings a key. Appending never looks at what the host pushed.

use super::cells::{APPEND, CLEAR, Changes, Form, Piece, Span, pushed, take_framed};
use super::held;
use super::ttl::{Found, Moment};
use crate::bindings::tidegate::function::types::StateColumn;
use crate::error::Result;

/// Where reading a list element by element stands.
pub(crate) enum ListCursor {
    /// In what the host holds back: the elements at hand, and the index of those that follow.
    Held { piece: Piece, next: u64 },
    /// In what was pushed: where the next element is.
    Pushed(u32),
    /// In what was appended: which one is next.
    Appended(u32),
}

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
    /// Whether that is read in pieces, and is still part of the list.
    is_held: bool,
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
        let cell = |(form, pushed)| Cell {
            pushed,
            is_stored: form != Form::Nothing,
            is_held: form == Form::Held,
            is_cleared: false,
            is_rewritten: false,
            first: NONE,
            last: NONE,
        };
        let cells = pushed(&column.forms, &column.values.ends).map(cell).collect();
        Self { bytes: column.values.bytes, cells, appended: Vec::new() }
    }

    /// The elements of a list that is not held back, in order.
    pub(crate) fn elements(&self, key: usize) -> impl Iterator<Item = &[u8]> {
        let cell = &self.cells[key];
        let elements = pushed_elements(&self.bytes, cell.pushed).chain(self.chain(cell));
        elements.map(|element| element.of(&self.bytes))
    }

    /// How many elements a key has, also those that are not visible any more.
    pub(crate) fn count(&self, state: u32, key: usize) -> usize {
        let cell = &self.cells[key];
        let held = if cell.is_held { held::list_length(state, key as u32) as usize } else { 0 };
        held + pushed_elements(&self.bytes, cell.pushed).count() + self.chain(cell).count()
    }

    /// Begins to read a key's list element by element.
    pub(crate) fn cursor(&self, key: usize) -> ListCursor {
        let cell = &self.cells[key];
        match cell.is_held {
            true => ListCursor::Held { piece: Piece::EMPTY, next: 0 },
            false => ListCursor::Pushed(cell.pushed.start),
        }
    }

    /// Passes over elements that the host holds back, and says how many of `count` are left.
    pub(crate) fn skip(
        &self,
        state: u32,
        key: usize,
        cursor: &mut ListCursor,
        count: usize,
    ) -> usize {
        let ListCursor::Held { next, .. } = cursor else { return count };
        let length = held::list_length(state, key as u32);
        *next = length.min(count as u64);
        count - *next as usize
    }

    /// Reads the next element. At a moment at which reads are accesses, the list is never held
    /// back, and [`access`](Self::access) notes them all at once.
    pub(crate) fn next<T>(
        &self,
        state: u32,
        key: usize,
        cursor: &mut ListCursor,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Option<T> {
        let cell = &self.cells[key];
        loop {
            match cursor {
                ListCursor::Held { piece, next } => {
                    if let Some(element) = piece.peek() {
                        let value = read(element);
                        piece.advance();
                        return Some(value);
                    }
                    let elements = held::list_read(state, key as u32, *next, held::READ_BYTES);
                    *next += elements.ends.len() as u64;
                    if elements.ends.is_empty() {
                        *cursor = ListCursor::Appended(cell.first);
                    } else {
                        *piece = Piece::new(elements);
                    }
                }
                ListCursor::Pushed(at) if *at < cell.pushed.end => {
                    return Some(read(take_framed(&self.bytes, at).of(&self.bytes)));
                }
                ListCursor::Pushed(_) => *cursor = ListCursor::Appended(cell.first),
                ListCursor::Appended(at) => {
                    let appended = self.appended.get(*at as usize)?;
                    *at = appended.next;
                    return Some(read(appended.element.of(&self.bytes)));
                }
            }
        }
    }

    /// Notes an access to every element that is alive, for which all of them are written anew.
    pub(crate) fn access(&mut self, key: usize, moment: Moment) {
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
        cell.is_held = false;
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
