//! One state of one key, in the encoding of the contract's `state-column`, and the operations on
//! it.

use smallvec::SmallVec;

use crate::model::StateKind;

/// The encoded state. Small values need no allocation of their own.
pub(super) type Cell = SmallVec<[u8; 16]>;

/// The operations of the contract's `state-changes`.
const CLEAR: u8 = 0;
const PUT: u8 = 1;

/// Applies one operation, which `wasm::effects` has found to fit the kind. A list or map that
/// becomes empty is no state, as in Flink.
pub(super) fn apply(cell: &mut Option<Cell>, kind: StateKind, operation: u8, entry: &[u8]) {
    match (operation, kind) {
        (CLEAR, _) => *cell = None,
        (PUT, StateKind::Value | StateKind::Reducing | StateKind::Aggregating) => match cell {
            Some(value) if value.len() == entry.len() => value.copy_from_slice(entry),
            _ => *cell = Some(Cell::from_slice(entry)),
        },
        (PUT, StateKind::List) => append(cell.get_or_insert_default(), entry),
        (PUT, StateKind::Map) => {
            let (key, value) = split_map_entry(entry);
            map_put(cell.get_or_insert_default(), key, value);
        }
        (_, StateKind::Map) => {
            if let Some(map) = cell {
                map_remove(map, entry);
                if map.is_empty() {
                    *cell = None;
                }
            }
        }
        (other, kind) => unreachable!("effects with operation {other} on {kind:?} are refused"),
    }
}

pub(super) fn append(bytes: &mut Cell, string: &[u8]) {
    let length = u32::try_from(string.len()).expect("one string is below 4 GiB");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(string);
}

fn split_map_entry(entry: &[u8]) -> (&[u8], &[u8]) {
    let (length, rest) = entry.split_first_chunk::<4>().expect("checked by wasm::effects");
    rest.split_at(u32::from_le_bytes(*length) as usize)
}

/// The length-prefixed string at `offset`, and where the next one begins.
fn string_at(bytes: &[u8], offset: usize) -> (&[u8], usize) {
    let (length, rest) = bytes[offset..].split_first_chunk::<4>().expect("cells are well formed");
    let length = u32::from_le_bytes(*length) as usize;
    (&rest[..length], offset + 4 + length)
}

/// The elements of a list (one string each) or the entries of a map (two): where each is, and its
/// last string.
pub(super) fn strings(
    bytes: &[u8],
    parts: usize,
) -> impl Iterator<Item = (std::ops::Range<usize>, &[u8])> {
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
fn find(map: &[u8], key: &[u8]) -> std::ops::Range<usize> {
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

fn map_put(map: &mut Cell, key: &[u8], value: &[u8]) {
    let place = find(map, key);
    let mut entry = Cell::new();
    append(&mut entry, key);
    append(&mut entry, value);
    if place.len() == entry.len() {
        map[place].copy_from_slice(&entry);
    } else {
        map.drain(place.clone());
        map.insert_many(place.start, entry);
    }
}

fn map_remove(map: &mut Cell, key: &[u8]) {
    let place = find(map, key);
    map.drain(place);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn map_entries(cell: Option<&Cell>) -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes = cell.map(Cell::as_slice).unwrap_or_default();
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
        let mut entry = Cell::new();
        append(&mut entry, key);
        entry.extend_from_slice(value);
        entry.to_vec()
    }

    proptest! {
        #[test]
        fn a_map_equals_a_btree_map(
            changes in prop::collection::vec(
                (
                    0_u8..20,
                    prop::collection::vec(0_u8..3, 0..3),
                    prop::collection::vec(any::<u8>(), 0..20),
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
    fn a_value_is_the_last_put_and_a_list_all_appends() {
        let mut value = None;
        for put in [b"12345678".as_slice(), b"abcdefgh", b"", b"a value longer than sixteen bytes"]
        {
            apply(&mut value, StateKind::Value, PUT, put);
            assert_eq!(value.as_deref(), Some(put));
        }
        let mut list = None;
        apply(&mut list, StateKind::List, PUT, b"a");
        apply(&mut list, StateKind::List, PUT, b"");
        assert_eq!(list.as_deref(), Some(b"\x01\0\0\0a\0\0\0\0".as_slice()));
        apply(&mut list, StateKind::List, CLEAR, b"");
        assert_eq!(list, None);
    }
}
