//! What one state of one key holds, as plain collections, and the way to and from the encoding of
//! the contract. Written anew: it shares no code with what it is compared to.

use std::collections::BTreeMap;

use crate::model::StateKind;

/// One state of one key. There is no empty list or map.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    One(Vec<u8>),
    List(Vec<Vec<u8>>),
    Map(BTreeMap<Vec<u8>, Vec<u8>>),
}

/// A change to it: the three operations of the contract.
#[derive(Debug, Clone)]
pub(super) enum Change {
    Clear,
    /// Puts a value, appends an element, or puts an entry of a map under the key.
    Put(Vec<u8>, Vec<u8>),
    /// Removes an entry of a map; clears all others.
    Remove(Vec<u8>),
}

impl Change {
    /// The operation and its entry in the form of the contract's `state-changes`.
    pub(super) fn encode(&self, kind: StateKind) -> (u8, Vec<u8>) {
        match (self, kind) {
            (Self::Put(key, value), StateKind::Map) => {
                let mut entry = framed(key);
                entry.extend(value);
                (1, entry)
            }
            (Self::Put(_, value), _) => (1, value.clone()),
            (Self::Remove(key), StateKind::Map) => (2, key.clone()),
            _ => (0, Vec::new()),
        }
    }

    /// Does to a model what the change does to a state.
    pub(super) fn apply(&self, kind: StateKind, content: Option<Content>) -> Option<Content> {
        let changed = match (self, kind, content) {
            (Self::Put(_, value), StateKind::List, content) => {
                let mut list = match content {
                    Some(Content::List(list)) => list,
                    _ => Vec::new(),
                };
                list.push(value.clone());
                Content::List(list)
            }
            (Self::Put(key, value), StateKind::Map, content) => {
                let mut map = match content {
                    Some(Content::Map(map)) => map,
                    _ => BTreeMap::new(),
                };
                map.insert(key.clone(), value.clone());
                Content::Map(map)
            }
            (Self::Put(_, value), ..) => Content::One(value.clone()),
            (Self::Remove(key), StateKind::Map, Some(Content::Map(mut map))) => {
                map.remove(key);
                Content::Map(map)
            }
            _ => return None,
        };
        (!changed.values().is_empty()).then_some(changed)
    }
}

fn framed(string: &[u8]) -> Vec<u8> {
    [&(string.len() as u32).to_le_bytes(), string].concat()
}

/// Strings that each come after their length.
fn strings(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let (string, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        strings.push(string.to_vec());
        bytes = rest;
    }
    assert!(bytes.is_empty(), "a length that is cut off");
    strings
}

impl Content {
    /// Reads a cell, which must be as the contract says: keys of a map ascend.
    pub(super) fn decode(kind: StateKind, cell: &[u8]) -> Self {
        match kind {
            StateKind::Value | StateKind::Reducing | StateKind::Aggregating => {
                Self::One(cell.to_vec())
            }
            StateKind::List => Self::List(strings(cell)),
            StateKind::Map => {
                let strings = strings(cell);
                let (pairs, rest) = strings.as_chunks::<2>();
                assert!(rest.is_empty() && pairs.is_sorted_by(|[a, _], [b, _]| a < b));
                Self::Map(pairs.iter().cloned().map(|[key, value]| (key, value)).collect())
            }
        }
    }

    /// How long its cell is.
    pub(super) fn cell_bytes(&self) -> usize {
        let framed = |string: &Vec<u8>| 4 + string.len();
        match self {
            Self::One(value) => value.len(),
            Self::List(list) => list.iter().map(framed).sum(),
            Self::Map(map) => map.iter().map(|(key, value)| framed(key) + framed(value)).sum(),
        }
    }

    /// The value, the elements, or the values of the entries: what has access times.
    pub(super) fn values(&self) -> Vec<&[u8]> {
        match self {
            Self::One(value) => vec![value],
            Self::List(list) => list.iter().map(Vec::as_slice).collect(),
            Self::Map(map) => map.values().map(Vec::as_slice).collect(),
        }
    }

    /// With every value replaced.
    pub(super) fn map_values(&self, to: impl Fn(&[u8]) -> Vec<u8>) -> Self {
        match self {
            Self::One(value) => Self::One(to(value)),
            Self::List(list) => Self::List(list.iter().map(|value| to(value)).collect()),
            Self::Map(map) => {
                Self::Map(map.iter().map(|(key, value)| (key.clone(), to(value))).collect())
            }
        }
    }

    /// Without some of its values.
    pub(super) fn filter(&self, keep: impl Fn(&[u8]) -> bool) -> Option<Self> {
        let kept = match self {
            Self::One(value) => return keep(value).then(|| self.clone()),
            Self::List(list) => {
                Self::List(list.iter().filter(|value| keep(value)).cloned().collect())
            }
            Self::Map(map) => {
                let kept = map.iter().filter(|(_, value)| keep(value));
                Self::Map(kept.map(|(key, value)| (key.clone(), value.clone())).collect())
            }
        };
        (!kept.values().is_empty()).then_some(kept)
    }

    /// Whether this is what is left of `all` after some values were removed, of which each may be.
    pub(super) fn is_left_of(&self, all: &Self, may_go: impl Fn(&[u8]) -> bool) -> bool {
        match (self, all) {
            (Self::One(value), Self::One(all)) => value == all,
            (Self::List(list), Self::List(all)) => {
                let mut left = list.iter().peekable();
                let has_its_place =
                    |value: &Vec<u8>| left.next_if_eq(&value).is_some() || may_go(value);
                all.iter().all(has_its_place) && left.next().is_none() && !list.is_empty()
            }
            (Self::Map(map), Self::Map(all)) => {
                let is_there = |(key, value): (&Vec<u8>, &Vec<u8>)| all.get(key) == Some(value);
                let may_miss =
                    |(key, value): (&Vec<u8>, &Vec<u8>)| map.contains_key(key) || may_go(value);
                map.iter().all(is_there) && all.iter().all(may_miss) && !map.is_empty()
            }
            _ => false,
        }
    }
}
