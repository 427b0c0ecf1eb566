//! Long lists and maps of one key: the same content as their encoding, found without walking over
//! all of it.

use super::cell::{self, string_at};
use crate::model::Packed;

/// Every so many elements of a list it is known where one begins.
const ELEMENTS_A_MARK: usize = 1024;

/// A part of a map that grows beyond this is cut in two.
const PART_BYTES_MAX: usize = 8 << 10;

/// A list with places to begin to read at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LongList {
    bytes: Vec<u8>,
    count: usize,
    /// Where elements 0, 1024, 2048, … begin.
    marks: Vec<usize>,
}

impl LongList {
    pub(super) fn of(encoded: &[u8]) -> Self {
        let mut list = Self { bytes: encoded.to_vec(), ..Self::default() };
        for (range, _) in cell::strings(encoded, 1) {
            list.mark(range.start);
        }
        list
    }

    fn mark(&mut self, start: usize) {
        if self.count.is_multiple_of(ELEMENTS_A_MARK) {
            self.marks.push(start);
        }
        self.count += 1;
    }

    pub(super) fn push(&mut self, element: &[u8]) {
        self.mark(self.bytes.len());
        cell::append(&mut self.bytes, element);
    }

    /// All of it, encoded.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.bytes
    }

    /// How many elements there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Elements from `start` on: one if there is any, and more up to about `bytes_max` bytes.
    pub fn read(&self, start: usize, bytes_max: usize) -> Packed {
        let mut elements = Packed::default();
        if start >= self.count {
            return elements;
        }
        let mut offset = self.marks[start / ELEMENTS_A_MARK];
        for _ in 0..start % ELEMENTS_A_MARK {
            (_, offset) = string_at(&self.bytes, offset);
        }
        while offset < self.bytes.len() {
            let (element, next) = string_at(&self.bytes, offset);
            if !elements.is_empty() && elements.bytes.len() + element.len() > bytes_max {
                break;
            }
            elements.push(element);
            offset = next;
        }
        elements
    }
}

/// A map in parts, each with the encoding of a map, ascending by their keys: a tree of two levels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LongMap {
    /// None of them is empty.
    parts: Vec<Vec<u8>>,
    bytes: usize,
}

impl LongMap {
    pub(super) fn of(encoded: &[u8]) -> Self {
        let mut map = Self { parts: Vec::new(), bytes: encoded.len() };
        let mut start = 0;
        for (range, _) in cell::strings(encoded, 2) {
            // Half full, so that there is room for what comes.
            if range.end - start > PART_BYTES_MAX / 2 || range.end == encoded.len() {
                map.parts.push(encoded[start..range.end].to_vec());
                start = range.end;
            }
        }
        map
    }

    /// The index of the part that has a key, if any has it.
    fn part_of(&self, key: &[u8]) -> usize {
        self.parts.partition_point(|part| string_at(part, 0).0 <= key).saturating_sub(1)
    }

    pub(super) fn put(&mut self, key: &[u8], value: &[u8]) {
        let index = self.part_of(key);
        if self.parts.is_empty() {
            self.parts.push(Vec::new());
        }
        let part = &mut self.parts[index];
        let before = part.len();
        cell::map_put(part, key, value);
        self.bytes = self.bytes + part.len() - before;
        if part.len() > PART_BYTES_MAX {
            let middle = part.len() / 2;
            let cut = cell::strings(part, 2).map(|(range, _)| range.end);
            let cut = cut.take_while(|end| *end < before).find(|end| *end >= middle);
            if let Some(cut) = cut.filter(|cut| *cut < part.len()) {
                let rest = part.split_off(cut);
                self.parts.insert(index + 1, rest);
            }
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        let index = self.part_of(key);
        let Some(part) = self.parts.get_mut(index) else { return };
        let before = part.len();
        cell::map_remove(part, key);
        self.bytes = self.bytes + part.len() - before;
        if part.is_empty() {
            self.parts.remove(index);
        }
    }

    /// The length of its encoding.
    pub(super) fn len(&self) -> usize {
        self.bytes
    }

    /// All of it, encoded.
    pub(super) fn encoded(&self) -> Vec<u8> {
        self.parts.concat()
    }

    /// The value under a key.
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let part = self.parts.get(self.part_of(key))?;
        let (start, value) = (cell::find(part, key).start, 4 + key.len());
        let (found, at) = (start < part.len()).then(|| string_at(part, start))?;
        debug_assert!(found != key || at == start + value);
        (found == key).then(|| string_at(part, at).0)
    }

    /// Keys and values of the entries after a key, from the first if none: one if there is any, and
    /// more up to about `bytes_max` bytes. And whether there are more.
    pub fn scan(&self, after: Option<&[u8]>, bytes_max: usize) -> (Packed, Packed, bool) {
        let (mut keys, mut values) = (Packed::default(), Packed::default());
        let first = after.map_or(0, |key| self.part_of(key));
        for part in self.parts.get(first..).unwrap_or_default() {
            let mut offset = 0;
            while offset < part.len() {
                let (key, at) = string_at(part, offset);
                let (value, next) = string_at(part, at);
                offset = next;
                if after.is_some_and(|after| key <= after) {
                    continue;
                }
                let bytes = keys.bytes.len() + values.bytes.len() + key.len() + value.len();
                if !keys.is_empty() && bytes > bytes_max {
                    return (keys, values, true);
                }
                keys.push(key);
                values.push(value);
            }
        }
        (keys, values, false)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn bytes(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(any::<u8>(), length)
    }

    proptest! {
        #[test]
        fn a_long_map_is_a_map(
            changes in prop::collection::vec((any::<bool>(), bytes(0..3), bytes(0..900)), 0..400),
            bytes_max in 0_usize..5000,
        ) {
            let (mut map, mut model) = (LongMap::default(), BTreeMap::new());
            for (puts, key, value) in changes {
                if puts || model.len() < 20 {
                    map.put(&key, &value);
                    model.insert(key, value);
                } else {
                    map.remove(&key);
                    model.remove(&key);
                }
            }
            for (key, value) in &model {
                prop_assert_eq!(map.get(key), Some(value.as_slice()));
            }
            prop_assert_eq!(map.get(b"none of these"), None);
            prop_assert_eq!(map.len(), map.encoded().len());
            prop_assert_eq!(LongMap::of(&map.encoded()).encoded(), map.encoded());
            let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
            loop {
                let (keys, values, more) = map.scan(after.as_deref(), bytes_max);
                prop_assert_eq!(keys.len(), values.len());
                let entries = keys.iter().zip(values.iter());
                found.extend(entries.map(|(key, value)| (key.to_vec(), value.to_vec())));
                prop_assert!(!more || !keys.is_empty());
                after = found.last().map(|(key, _)| key.clone());
                if !more {
                    break;
                }
            }
            prop_assert_eq!(found, model.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn a_long_list_is_a_list(
            elements in prop::collection::vec(bytes(0..5), 0..5000),
            start in 0_usize..6000,
            bytes_max in 0_usize..100,
        ) {
            let mut list = LongList::default();
            elements.iter().for_each(|element| list.push(element));
            prop_assert_eq!(&LongList::of(list.encoded()), &list);
            prop_assert_eq!(list.count(), elements.len());
            let read = list.read(start, bytes_max);
            let expected = elements.get(start..).unwrap_or_default();
            prop_assert_eq!(read.is_empty(), expected.is_empty());
            prop_assert!(read.iter().eq(expected.iter().take(read.len())));
            prop_assert!(read.len() <= 1 || read.bytes.len() <= bytes_max);
        }
    }
}
