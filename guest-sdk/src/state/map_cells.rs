//! A map of byte strings a key. What the host pushed is only parsed when it is read; what the call
//! put or removed lies over it.

use std::cell::OnceCell;
use std::cmp::Ordering;

use super::cells::{CLEAR, Changes, PUT, REMOVE, Span, pushed, take_framed};
use super::ttl::{Found, Moment};
use crate::bindings::tidegate::function::types::StateColumn;
use crate::error::Result;

/// Bytes of the length before a key.
const LENGTH_BYTES: usize = 4;

/// The maps of one state for the keys of a call.
pub(crate) struct MapCells {
    /// The pushed maps, then the entries that were put: length of the key, key, value.
    bytes: Vec<u8>,
    cells: Vec<Cell>,
}

/// The map of one key.
struct Cell {
    /// The pushed map; empty once it is cleared.
    pushed: Span,
    /// Whether the host has a map.
    is_stored: bool,
    is_cleared: bool,
    /// The entries of `pushed`, ascending, made by the first read.
    index: OnceCell<Box<[Entry]>>,
    /// What the call did since it began or cleared the map, ascending by key, one for each key.
    changes: Vec<Change>,
}

/// Where an entry is in the buffer.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: Span,
    pub(super) value: Span,
}

struct Change {
    key: Span,
    /// None if the entry was removed.
    value: Option<Span>,
}

impl MapCells {
    pub(super) fn new(column: StateColumn) -> Self {
        let cell = |(is_stored, pushed)| Cell {
            pushed,
            is_stored,
            is_cleared: false,
            index: OnceCell::new(),
            changes: Vec::new(),
        };
        let cells = pushed(&column.forms, &column.values.ends).map(cell).collect();
        Self { bytes: column.values.bytes, cells }
    }

    /// The value that a key's map has under `map_key`.
    pub(crate) fn get(&self, key: usize, map_key: &[u8]) -> Option<&[u8]> {
        let cell = &self.cells[key];
        if let Ok(found) = cell.find_change(&self.bytes, map_key) {
            return cell.changes[found].value.map(|value| value.of(&self.bytes));
        }
        let index = cell.index(&self.bytes);
        let found = index.binary_search_by(|entry| entry.key.of(&self.bytes).cmp(map_key)).ok()?;
        Some(index[found].value.of(&self.bytes))
    }

    /// Notes an access to every entry that is alive.
    pub(crate) fn access_all(&mut self, key: usize, moment: Moment) {
        let keys = self.entries(key).into_iter().map(|(map_key, _)| map_key.to_vec());
        let keys: Vec<Vec<u8>> = keys.collect();
        keys.iter().for_each(|map_key| self.access(key, map_key, moment));
    }

    /// Notes an access to the entry under `map_key`, if it is alive.
    pub(crate) fn access(&mut self, key: usize, map_key: &[u8], moment: Moment) {
        let stored = self.get(key, map_key);
        if !stored.is_some_and(|stored| matches!(moment.find(stored), Found::Accessed)) {
            return;
        }
        let cell = &mut self.cells[key];
        let value = match cell.find_change(&self.bytes, map_key) {
            Ok(found) => cell.changes[found].value,
            Err(place) => {
                let index = cell.index(&self.bytes);
                let found =
                    index.binary_search_by(|entry| entry.key.of(&self.bytes).cmp(map_key)).ok();
                let entry = found.map(|found| index[found]);
                let change = |Entry { key, value }| Change { key, value: Some(value) };
                cell.changes.splice(place..place, entry.map(change));
                entry.map(|entry| entry.value)
            }
        };
        if let Some(value) = value {
            moment.restamp(&mut self.bytes, value.start);
        }
    }

    /// All entries of a key's map, ascending by the bytes of their keys.
    pub(crate) fn entries(&self, key: usize) -> Vec<(&[u8], &[u8])> {
        let cell = &self.cells[key];
        let index = cell.index(&self.bytes);
        let mut entries = Vec::with_capacity(index.len() + cell.changes.len());
        let (mut old, mut new) = (index.iter().peekable(), cell.changes.iter().peekable());
        loop {
            let order = match (old.peek(), new.peek()) {
                (None, None) => return entries,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => old.key.of(&self.bytes).cmp(new.key.of(&self.bytes)),
            };
            let kept = old.next_if(|_| order.is_le());
            let changed = new.next_if(|_| order.is_ge());
            let entry = match (kept, changed) {
                (_, Some(change)) => change.value.map(|value| (change.key, value)),
                (Some(entry), None) => Some((entry.key, entry.value)),
                (None, None) => None,
            };
            entries.extend(entry.map(|(key, value)| (key.of(&self.bytes), value.of(&self.bytes))));
        }
    }

    /// Puts the entry whose key and value the two functions append. If one fails nothing is
    /// changed.
    pub(crate) fn put(
        &mut self,
        key: usize,
        write_key: impl FnOnce(&mut Vec<u8>) -> Result<()>,
        write_value: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let tail = self.bytes.len();
        let map_key = self.write_key(tail, write_key)?;
        if let Err(error) = write_value(&mut self.bytes) {
            self.bytes.truncate(tail);
            return Err(error);
        }
        let value = Span::new(map_key.end as usize, self.bytes.len());
        let cell = &mut self.cells[key];
        match cell.find_change(&self.bytes, map_key.of(&self.bytes)) {
            Err(place) => {
                cell.changes.insert(place, Change { key: map_key, value: Some(value) });
            }
            Ok(found) => match &mut cell.changes[found].value {
                // Putting the same entry again and again must not fill the memory.
                Some(old) if value.length() <= old.length() => {
                    let start = old.start as usize;
                    self.bytes.copy_within(value.start as usize.., start);
                    *old = Span::new(start, start + value.length());
                    self.bytes.truncate(tail);
                }
                _ => cell.changes[found] = Change { key: map_key, value: Some(value) },
            },
        }
        Ok(())
    }

    /// Removes the entry whose key the function appends.
    pub(crate) fn remove(
        &mut self,
        key: usize,
        write_key: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<()> {
        let tail = self.bytes.len();
        let map_key = self.write_key(tail, write_key)?;
        let cell = &mut self.cells[key];
        let is_over_nothing = cell.is_cleared || !cell.is_stored;
        match cell.find_change(&self.bytes, map_key.of(&self.bytes)) {
            Ok(found) if is_over_nothing => {
                cell.changes.remove(found);
                self.bytes.truncate(tail);
            }
            Ok(found) => {
                cell.changes[found].value = None;
                self.bytes.truncate(tail);
            }
            Err(_) if is_over_nothing => self.bytes.truncate(tail),
            Err(place) => cell.changes.insert(place, Change { key: map_key, value: None }),
        }
        Ok(())
    }

    /// Removes all entries of a key's map.
    pub(crate) fn clear(&mut self, key: usize) {
        let cell = &mut self.cells[key];
        cell.pushed = Span::EMPTY;
        cell.is_cleared = true;
        cell.index = OnceCell::new();
        cell.changes.clear();
    }

    /// Writes for each key that its map was cleared, if so, then one change for each entry touched
    /// since.
    pub(super) fn write_changes(&self, changes: &mut Changes) {
        for (key, cell) in self.cells.iter().enumerate() {
            if cell.is_cleared && cell.is_stored {
                changes.push(key, CLEAR, &[]);
            }
            for Change { key: map_key, value } in &cell.changes {
                match value {
                    Some(value) => {
                        // A key has its length before it.
                        let start = map_key.start as usize - LENGTH_BYTES;
                        let framed = &self.bytes[start..map_key.end as usize];
                        changes.push_pair(key, PUT, framed, value.of(&self.bytes));
                    }
                    None => changes.push(key, REMOVE, map_key.of(&self.bytes)),
                }
            }
        }
    }

    /// Appends a key with its length before it, and gives where the key is.
    fn write_key(
        &mut self,
        tail: usize,
        write: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<Span> {
        let start = tail + LENGTH_BYTES;
        self.bytes.extend_from_slice(&[0; LENGTH_BYTES]);
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(tail);
            return Err(error);
        }
        let span = Span::new(start, self.bytes.len());
        self.bytes[tail..start].copy_from_slice(&(span.length() as u32).to_le_bytes());
        Ok(span)
    }
}

impl Cell {
    /// The place of `map_key` among the changes, or where it would be.
    fn find_change(&self, bytes: &[u8], map_key: &[u8]) -> Result<usize, usize> {
        self.changes.binary_search_by(|change| change.key.of(bytes).cmp(map_key))
    }

    fn index(&self, bytes: &[u8]) -> &[Entry] {
        self.index.get_or_init(|| {
            let mut at = self.pushed.start;
            let mut index = Vec::new();
            while at < self.pushed.end {
                let key = take_framed(bytes, &mut at);
                let value = take_framed(bytes, &mut at);
                index.push(Entry { key, value });
            }
            index.into_boxed_slice()
        })
    }
}
