//! One state of one key, in the encoding of the contract's `state-column`, and the operations on
//! it.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use smallvec::SmallVec;

use super::long::{LongList, LongMap};
use crate::model::StateKind;

/// Lists and maps longer than this are found their way in, and can be read in part.
pub const LONG_BYTES: usize = 4 << 10;

/// State in its encoding. Small values need no allocation of their own.
pub(super) type Encoded = SmallVec<[u8; 16]>;

/// One state of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    /// A value, or a list or map that is not long.
    Encoded(Encoded),
    /// Shared with a call that reads it in part, and with nobody else.
    List(Arc<LongList>),
    Map(Arc<LongMap>),
}

impl Cell {
    /// The state of this encoding.
    pub(super) fn of(kind: StateKind, encoded: &[u8]) -> Self {
        match kind {
            StateKind::List if encoded.len() > LONG_BYTES => {
                Self::List(Arc::new(LongList::of(encoded)))
            }
            StateKind::Map if encoded.len() > LONG_BYTES => {
                Self::Map(Arc::new(LongMap::of(encoded)))
            }
            _ => Self::Encoded(Encoded::from_slice(encoded)),
        }
    }

    /// The length of its encoding.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Encoded(bytes) => bytes.len(),
            Self::List(list) => list.encoded().len(),
            Self::Map(map) => map.len(),
        }
    }

    /// Its encoding.
    pub(super) fn encoded(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Encoded(bytes) => Cow::Borrowed(bytes),
            Self::List(list) => Cow::Borrowed(list.encoded()),
            Self::Map(map) => Cow::Owned(map.encoded()),
        }
    }
}

/// The operations of the contract's `state-changes`.
const CLEAR: u8 = 0;
const PUT: u8 = 1;

/// Applies one operation, which `wasm::effects` has found to fit the kind. A list or map that
/// becomes empty is no state, as in Flink.
pub(super) fn apply(cell: &mut Option<Cell>, kind: StateKind, operation: u8, entry: &[u8]) {
    match (operation, kind) {
        (CLEAR, _) => *cell = None,
        (PUT, StateKind::Value | StateKind::Reducing | StateKind::Aggregating) => match cell {
            Some(Cell::Encoded(value)) if value.len() == entry.len() => {
                value.copy_from_slice(entry);
            }
            _ => *cell = Some(Cell::Encoded(Encoded::from_slice(entry))),
        },
        (PUT, StateKind::List) => match cell.get_or_insert_with(empty) {
            Cell::List(list) => Arc::make_mut(list).push(entry),
            short => change_short(short, StateKind::List, |list| append(list, entry)),
        },
        (PUT, StateKind::Map) => {
            let (key, value) = split_map_entry(entry);
            match cell.get_or_insert_with(empty) {
                Cell::Map(map) => Arc::make_mut(map).put(key, value),
                short => change_short(short, StateKind::Map, |map| map_put(map, key, value)),
            }
        }
        (_, StateKind::Map) => {
            match cell {
                None => return,
                Some(Cell::Map(map)) => Arc::make_mut(map).remove(entry),
                Some(short) => change_short(short, StateKind::Map, |map| map_remove(map, entry)),
            }
            if cell.as_ref().is_some_and(|cell| cell.len() == 0) {
                *cell = None;
            }
        }
        (other, kind) => unreachable!("effects with operation {other} on {kind:?} are refused"),
    }
}

fn empty() -> Cell {
    Cell::Encoded(Encoded::new())
}

/// Changes a cell that is not long, which it may become.
fn change_short(cell: &mut Cell, kind: StateKind, change: impl FnOnce(&mut Encoded)) {
    let Cell::Encoded(bytes) = cell else { unreachable!("a cell is of its state's kind") };
    change(bytes);
    if bytes.len() > LONG_BYTES {
        *cell = Cell::of(kind, bytes);
    }
}

/// A buffer that an encoding is changed in.
pub(super) trait Buffer {
    /// What is in it.
    fn bytes(&mut self) -> &mut [u8];
    /// Appends bytes.
    fn add(&mut self, bytes: &[u8]);
    /// Replaces a range by other bytes.
    fn replace(&mut self, range: Range<usize>, by: &[u8]);
}

impl<A: smallvec::Array<Item = u8>> Buffer for SmallVec<A> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }

    fn add(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn replace(&mut self, range: Range<usize>, by: &[u8]) {
        let start = range.start;
        self.drain(range);
        self.insert_from_slice(start, by);
    }
}

impl Buffer for Vec<u8> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }

    fn add(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn replace(&mut self, range: Range<usize>, by: &[u8]) {
        self.splice(range, by.iter().copied());
    }
}

pub(super) fn append(bytes: &mut impl Buffer, string: &[u8]) {
    let length = u32::try_from(string.len()).expect("one string is below 4 GiB");
    bytes.add(&length.to_le_bytes());
    bytes.add(string);
}

fn split_map_entry(entry: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = entry.split_first_chunk::<4>().expect("checked by wasm::effects");
    rest.split_at(u32::from_le_bytes(*length) as usize)
}

/// Whether bytes are a state of this kind in its encoding.
pub fn is_encoding(kind: StateKind, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut last_key: Option<&[u8]> = None;
    while matches!(kind, StateKind::List | StateKind::Map) && !rest.is_empty() {
        let Some(first) = take_string(&mut rest) else { return false };
        if kind == StateKind::Map {
            if last_key.is_some_and(|last| last >= first) || take_string(&mut rest).is_none() {
                return false;
            }
            last_key = Some(first);
        }
    }
    true
}

fn take_string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<4>()?;
    let (string, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    *rest = after;
    Some(string)
}

/// The length-prefixed string at `offset`, and where the next one begins.
pub(super) fn string_at(bytes: &[u8], offset: usize) -> (&[u8], usize) {
    let (length, rest) = bytes[offset..].split_first_chunk::<4>().expect("cells are well formed");
    let length = u32::from_le_bytes(*length) as usize;
    (&rest[..length], offset + 4 + length)
}

/// The elements of a list (one string each) or the entries of a map (two): where each is, and its
/// last string.
pub(super) fn strings(bytes: &[u8], parts: usize) -> impl Iterator<Item = (Range<usize>, &[u8])> {
    let mut offset = 0;
    std::iter::from_fn(move || {
        let start = offset;
        let mut last = None;
        for _ in 0..parts {
            if offset >= bytes.len() {
                return None;
            }
            let (string, next) = string_at(bytes, offset);
            (last, offset) = (Some(string), next);
        }
        last.map(|last| (start..offset, last))
    })
}

/// Where the entry of `key` is, or, if there is none, the empty range where it belongs.
pub(super) fn find(map: &[u8], key: &[u8]) -> Range<usize> {
    let mut offset = 0;
    while offset < map.len() {
        let (other, value) = string_at(map, offset);
        let (_, next) = string_at(map, value);
        match other.cmp(key) {
            std::cmp::Ordering::Less => offset = next,
            std::cmp::Ordering::Equal => return offset..next,
            std::cmp::Ordering::Greater => break,
        }
    }
    offset..offset
}

pub(super) fn map_put(map: &mut impl Buffer, key: &[u8], value: &[u8]) {
    let place = find(map.bytes(), key);
    // An entry of the same key with a value of the same length.
    if place.len() == 8 + key.len() + value.len() {
        map.bytes()[place.end - value.len()..place.end].copy_from_slice(value);
        return;
    }
    let mut entry = SmallVec::<[u8; 64]>::new();
    append(&mut entry, key);
    append(&mut entry, value);
    map.replace(place, &entry);
}

pub(super) fn map_remove(map: &mut impl Buffer, key: &[u8]) {
    let place = find(map.bytes(), key);
    map.replace(place, &[]);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn map_entries(cell: Option<&Cell>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes = cell.map(|cell| cell.encoded().to_vec()).unwrap_or_default();
        let bytes = bytes.as_slice();
        let (mut offset, mut entries) = (0, Vec::new());
        while offset < bytes.len() {
            let (key, value_offset) = string_at(bytes, offset);
            let (value, next) = string_at(bytes, value_offset);
            entries.push((key.to_vec(), value.to_vec()));
            offset = next;
        }
        entries
    }

    fn map_entry(key: &[u8], value: &[u8]) -> Vec<u8> {
        let mut entry = Vec::new();
        append(&mut entry, key);
        entry.extend_from_slice(value);
        entry
    }

    proptest! {
        #[test]
        fn a_map_equals_a_btree_map(
            changes in prop::collection::vec(
                (
                    0_u8..20,
                    prop::collection::vec(0_u8..3, 0..4),
                    // Some maps become long.
                    prop::collection::vec(any::<u8>(), 0..500),
                ),
                0..200,
            )
        ) {
            let (mut cell, mut model) = (None, BTreeMap::new());
            for (choice, key, value) in changes {
                match choice {
                    0 => {
                        apply(&mut cell, StateKind::Map, CLEAR, b"");
                        model.clear();
                    }
                    1..8 => {
                        apply(&mut cell, StateKind::Map, 2, &key);
                        model.remove(&key);
                    }
                    _ => {
                        apply(&mut cell, StateKind::Map, PUT, &map_entry(&key, &value));
                        model.insert(key, value);
                    }
                }
                let expected: Vec<_> = model.clone().into_iter().collect();
                prop_assert_eq!(map_entries(cell.as_ref()), expected);
                prop_assert_eq!(cell.is_none(), model.is_empty());
            }
        }
    }

    #[test]
    fn encodings_are_told_from_other_bytes() {
        let map = b"\x01\0\0\0a\0\0\0\0\x01\0\0\0b\0\0\0\0";
        assert!(is_encoding(StateKind::Map, map) && is_encoding(StateKind::List, map));
        assert!(is_encoding(StateKind::Map, b"") && is_encoding(StateKind::Value, b"x"));
        let twice = [&map[..9], &map[..9]].concat();
        assert!(!is_encoding(StateKind::Map, &twice) && is_encoding(StateKind::List, &twice));
        for end in (1..map.len()).filter(|end| *end != 9) {
            assert!(!is_encoding(StateKind::Map, &map[..end]), "{end}");
        }
        assert!(!is_encoding(StateKind::List, b"\xff\xff\xff\xffa"));
    }

    #[test]
    fn a_value_is_the_last_put_and_a_list_all_appends() {
        let mut value = None;
        for put in [b"12345678".as_slice(), b"abcdefgh", b"", b"a value longer than sixteen bytes"]
        {
            apply(&mut value, StateKind::Value, PUT, put);
            assert_eq!(value.as_ref().map(|value| value.encoded().to_vec()).as_deref(), Some(put));
        }
        let mut list = None;
        apply(&mut list, StateKind::List, PUT, b"a");
        apply(&mut list, StateKind::List, PUT, b"");
        let encoded = list.as_ref().map(|list| list.encoded().to_vec());
        assert_eq!(encoded.as_deref(), Some(b"\x01\0\0\0a\0\0\0\0".as_slice()));
        apply(&mut list, StateKind::List, CLEAR, b"");
        assert_eq!(list, None);
    }
}
