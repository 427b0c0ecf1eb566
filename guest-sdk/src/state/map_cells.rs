//! A map of byte strings a key. What the host pushed is only parsed when it is read; what the call
//! put or removed lies over it.

use std::cell::OnceCell;
use std::cmp::Ordering;

use smallvec::SmallVec;

use super::cells::{CLEAR, Changes, Form, PUT, Piece, REMOVE, Span, pushed, take_framed};
use super::held;
use super::ttl::{Found, Moment};
use crate::bindings::tidegate::function::types::{Packed, StateColumn};
use crate::bytes;
use crate::error::Result;

/// Bytes of the length before a key.
const LENGTH_BYTES: usize = 4;

/// A pushed map up to this length is searched from its start, which takes no index.
const SCANNED_BYTES_MAX: usize = 256;

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
    /// Whether that is read in pieces, and is still part of the map.
    is_held: bool,
    /// What was read of it by key, ascending, one for each key.
    fetched: Vec<Change>,
    is_cleared: bool,
    /// The entries of `pushed`, ascending, made by the first read.
    index: OnceCell<Box<[Entry]>>,
    /// What the call did since it began or cleared the map, ascending by key, one for each key.
    changes: Changed,
}

/// Most calls change one entry of a map at most, which needs no allocation.
type Changed = SmallVec<[Change; 1]>;

/// Where an entry is in the buffer.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) key: Span,
    pub(super) value: Span,
}

/// What became of an entry, or what the host has of it.
struct Change {
    key: Span,
    /// None if there is no such entry any more.
    value: Option<Span>,
}

/// Where reading a map entry by entry stands.
pub(crate) struct MapCursor {
    /// What was read last of a map that is held back.
    keys: Piece,
    values: Piece,
    /// Whether the host has more after that.
    more: bool,
    /// The next of the pushed entries.
    pushed: usize,
    /// The next of the changes.
    change: usize,
}

impl MapCells {
    pub(super) fn new(column: StateColumn) -> Self {
        let cell = |(form, pushed)| Cell {
            pushed,
            is_stored: form != Form::Nothing,
            is_held: form == Form::Held,
            fetched: Vec::new(),
            is_cleared: false,
            index: OnceCell::new(),
            changes: Changed::new(),
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
        if cell.is_held {
            let found = find(&cell.fetched, &self.bytes, map_key).ok();
            let found = found.expect("what is held back is fetched before it is read");
            return cell.fetched[found].value.map(|value| value.of(&self.bytes));
        }
        if cell.index.get().is_none() && cell.pushed.length() <= SCANNED_BYTES_MAX {
            return cell.scan(&self.bytes, map_key);
        }
        let index = cell.index(&self.bytes);
        let found = index.binary_search_by(|entry| entry.key.of(&self.bytes).cmp(map_key)).ok()?;
        Some(index[found].value.of(&self.bytes))
    }

    /// Reads from the host what it holds back under some keys of a map, unless it is known. Nothing
    /// to do if it holds back nothing.
    pub(crate) fn fetch<'k>(
        &mut self,
        state: u32,
        key: usize,
        map_keys: impl IntoIterator<Item = &'k [u8]>,
    ) {
        let Self { bytes, cells } = self;
        let cell = &mut cells[key];
        if !cell.is_held {
            return;
        }
        let mut wanted = Packed { bytes: Vec::new(), ends: Vec::new() };
        for map_key in map_keys {
            let is_known = cell.find_change(bytes, map_key).is_ok()
                || find(&cell.fetched, bytes, map_key).is_ok();
            if !is_known {
                wanted.bytes.extend_from_slice(map_key);
                wanted.ends.push(wanted.bytes.len() as u32);
            }
        }
        if wanted.ends.is_empty() {
            return;
        }
        let (found, values) = held::map_get(state, key as u32, &wanted);
        let (mut map_keys, mut values) = (Piece::new(wanted), Piece::new(values));
        for is_found in found {
            let map_key = map_keys.peek().unwrap_or_default();
            if let Err(place) = find(&cell.fetched, bytes, map_key) {
                let mut add = |string: &[u8]| {
                    bytes.extend_from_slice(string);
                    Span::new(bytes.len() - string.len(), bytes.len())
                };
                let added = add(map_key);
                let value = (is_found == 1).then(|| add(values.peek().unwrap_or_default()));
                cell.fetched.insert(place, Change { key: added, value });
            }
            map_keys.advance();
            values.advance();
        }
    }

    /// Begins to read a key's map entry by entry.
    pub(crate) fn cursor(&self, key: usize) -> MapCursor {
        let more = self.cells[key].is_held;
        MapCursor { keys: Piece::EMPTY, values: Piece::EMPTY, more, pushed: 0, change: 0 }
    }

    /// Reads the next entry, ascending by the bytes of the keys.
    pub(crate) fn next<T>(
        &self,
        state: u32,
        key: usize,
        cursor: &mut MapCursor,
        mut read: impl FnMut(&[u8], &[u8]) -> T,
    ) -> Option<T> {
        let cell = &self.cells[key];
        loop {
            if cursor.keys.peek().is_none() && cursor.more {
                cursor.read_on(state, key);
            }
            let entry = cell.index(&self.bytes).get(cursor.pushed);
            let old = match entry {
                Some(Entry { key, value }) => Some((key.of(&self.bytes), value.of(&self.bytes))),
                None => cursor.keys.peek().zip(cursor.values.peek()),
            };
            let new = cell.changes.get(cursor.change);
            let order = match (old, new) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some(new)) => old.cmp(new.key.of(&self.bytes)),
            };
            let found = match (order, old, new) {
                (Ordering::Less, old, _) => old,
                (_, _, Some(Change { key, value: Some(value) })) => {
                    Some((key.of(&self.bytes), value.of(&self.bytes)))
                }
                _ => None,
            };
            // Before the cursor moves: what is at hand may be in it.
            let value = found.map(|(map_key, value)| read(map_key, value));
            if order.is_ge() {
                cursor.change += 1;
            }
            if order.is_le() && entry.is_some() {
                cursor.pushed += 1;
            } else if order.is_le() {
                cursor.keys.advance();
                cursor.values.advance();
            }
            if value.is_some() {
                return value;
            }
        }
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
                if let Some(Entry { key, value }) = entry {
                    cell.changes.insert(place, Change { key, value: Some(value) });
                }
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
                    *old = Span::new(start, start + value.length());
                    bytes::move_tail(&mut self.bytes, value.start as usize, start);
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
        cell.is_held = false;
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

impl MapCursor {
    /// Reads on in what the host holds back.
    fn read_on(&mut self, state: u32, key: usize) {
        let after = self.keys.last();
        let entries = held::map_scan(state, key as u32, after, held::READ_BYTES);
        self.keys = Piece::new(entries.keys);
        self.values = Piece::new(entries.values);
        self.more = entries.more;
    }
}

/// The place of `map_key` among entries that are ascending by key, or where it would be.
#[inline]
fn find(entries: &[Change], bytes: &[u8], map_key: &[u8]) -> Result<usize, usize> {
    if entries.is_empty() {
        return Err(0);
    }
    entries.binary_search_by(|entry| entry.key.of(bytes).cmp(map_key))
}

impl Cell {
    /// The place of `map_key` among the changes, or where it would be.
    fn find_change(&self, bytes: &[u8], map_key: &[u8]) -> Result<usize, usize> {
        find(&self.changes, bytes, map_key)
    }

    /// Looks for `map_key` in what was pushed, from the start.
    fn scan<'b>(&self, bytes: &'b [u8], map_key: &[u8]) -> Option<&'b [u8]> {
        let mut at = self.pushed.start;
        while at < self.pushed.end {
            let key = take_framed(bytes, &mut at);
            let value = take_framed(bytes, &mut at);
            match key.of(bytes).cmp(map_key) {
                Ordering::Less => {}
                Ordering::Equal => return Some(value.of(bytes)),
                Ordering::Greater => return None,
            }
        }
        None
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
