//! One value a key, as bytes: the pushed one in place, and what the call put.

use super::cells::{CLEAR, Changes, Form, PUT, Span, pushed};
use super::ttl::{Found, Moment, payload};
use crate::bindings::tidegate::function::types::StateColumn;
use crate::bytes;
use crate::error::Result;

/// The values of one state for the keys of a call.
pub(crate) struct ValueCells {
    /// The pushed values, then longer ones that were put.
    bytes: Vec<u8>,
    cells: Vec<Cell>,
}

/// The value of one key.
struct Cell {
    span: Span,
    /// How many bytes may be overwritten from the start of `span`.
    capacity: u32,
    /// Whether the host has a value.
    is_stored: bool,
    /// Whether there is a value now.
    is_present: bool,
    is_dirty: bool,
}

impl ValueCells {
    pub(super) fn new(column: StateColumn) -> Self {
        let cell = |(form, span): (Form, Span)| Cell {
            span,
            capacity: span.end - span.start,
            is_stored: form != Form::Nothing,
            is_present: form != Form::Nothing,
            is_dirty: false,
        };
        let cells = pushed(&column.forms, &column.values.ends).map(cell).collect();
        Self { bytes: column.values.bytes, cells }
    }

    /// The value of a key as a function sees it, at a moment if that matters.
    #[inline]
    pub(crate) fn read(&mut self, key: usize, moment: Option<Moment>) -> Option<&[u8]> {
        let cell = &mut self.cells[key];
        if !cell.is_present {
            return None;
        }
        let Some(moment) = moment else { return Some(cell.span.of(&self.bytes)) };
        match moment.find(cell.span.of(&self.bytes)) {
            Found::Alive => {}
            Found::Accessed => {
                cell.is_dirty = true;
                moment.restamp(&mut self.bytes, cell.span.start);
            }
            Found::Expired => {
                self.clear(key);
                return None;
            }
        }
        Some(payload(self.cells[key].span.of(&self.bytes)))
    }

    /// Replaces the value of a key by what `write` appends. If it fails nothing is changed.
    #[inline]
    pub(crate) fn put(
        &mut self,
        key: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let tail = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(tail);
            return Err(error);
        }
        let length = self.bytes.len() - tail;
        let cell = &mut self.cells[key];
        if length <= cell.capacity as usize {
            let start = cell.span.start as usize;
            bytes::move_tail(&mut self.bytes, tail, start);
            cell.span.end = (start + length) as u32;
        } else {
            cell.span = Span::new(tail, tail + length);
            cell.capacity = length as u32;
        }
        cell.is_present = true;
        cell.is_dirty = true;
        Ok(())
    }

    /// Removes the value of a key.
    #[inline]
    pub(crate) fn clear(&mut self, key: usize) {
        let cell = &mut self.cells[key];
        cell.is_present = false;
        cell.is_dirty = true;
    }

    /// Writes one change for each key that has another value than the host.
    pub(super) fn write_changes(&self, changes: &mut Changes) {
        let dirty = self.cells.iter().filter(|cell| cell.is_dirty);
        let (count, bytes) =
            dirty.fold((0, 0), |(count, bytes), cell| (count + 1, bytes + cell.span.length()));
        changes.reserve(count, bytes);
        for (key, cell) in self.cells.iter().enumerate() {
            if cell.is_dirty && cell.is_present {
                changes.push(key, PUT, cell.span.of(&self.bytes));
            } else if cell.is_dirty && cell.is_stored {
                changes.push(key, CLEAR, &[]);
            }
        }
    }
}
