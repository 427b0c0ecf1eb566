//! State and timers of the in-memory host.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::pack;
use crate::bindings::tidegate::function::declarations::StateKind;
use crate::bindings::tidegate::function::types::StateColumn;
use crate::context::TimeDomain;

/// What one key has in one state, encoded.
pub(super) enum Stored {
    Value(Vec<u8>),
    List(Vec<Vec<u8>>),
    Map(BTreeMap<Vec<u8>, Vec<u8>>),
}

/// All state and timers.
pub(super) struct Store {
    kinds: Vec<StateKind>,
    states: Vec<HashMap<Vec<u8>, Stored>>,
    /// Ascending by time, then key, so that tests see the same order each time.
    timers: BTreeSet<(TimeDomain, i64, Vec<u8>)>,
}

impl Store {
    pub(super) fn new(kinds: impl Iterator<Item = StateKind>) -> Self {
        let kinds: Vec<_> = kinds.collect();
        let states = kinds.iter().map(|_| HashMap::new()).collect();
        Self { kinds, states, timers: BTreeSet::new() }
    }

    pub(super) fn get(&self, state: usize, key: &[u8]) -> Option<&Stored> {
        self.states[state].get(key)
    }

    /// The state of the given keys as the contract packs it.
    pub(super) fn columns(&self, keys: &[&[u8]]) -> Vec<StateColumn> {
        let column = |(index, state): (usize, &HashMap<Vec<u8>, Stored>)| StateColumn {
            state: index as u32,
            forms: keys.iter().map(|key| u8::from(state.contains_key(*key))).collect(),
            values: pack::packed(
                keys.iter().map(|key| state.get(*key).map(Stored::pack).unwrap_or_default()),
            ),
        };
        self.states.iter().enumerate().map(column).collect()
    }

    /// Applies one change that was checked before.
    pub(super) fn change(&mut self, state: usize, key: &[u8], operation: u8, entry: &[u8]) {
        let kind = self.kinds[state];
        let states = &mut self.states[state];
        if operation == 0 {
            states.remove(key);
            return;
        }
        let stored = states.entry(key.to_vec()).or_insert_with(|| match kind {
            StateKind::List => Stored::List(Vec::new()),
            StateKind::Map => Stored::Map(BTreeMap::new()),
            _ => Stored::Value(Vec::new()),
        });
        match stored {
            Stored::Value(value) => *value = entry.to_vec(),
            Stored::List(elements) => elements.push(entry.to_vec()),
            Stored::Map(entries) if operation == 1 => {
                let (map_key, value) = split_entry(entry).expect("checked before");
                entries.insert(map_key.to_vec(), value.to_vec());
            }
            Stored::Map(entries) => {
                entries.remove(entry);
                if entries.is_empty() {
                    states.remove(key);
                }
            }
        }
    }

    /// Applies one change of a timer that was checked before.
    pub(super) fn change_timer(&mut self, timestamp: i64, operation: u8, key: &[u8]) {
        let domain = match operation {
            0 | 1 => TimeDomain::EventTime,
            _ => TimeDomain::ProcessingTime,
        };
        let timer = (domain, timestamp, key.to_vec());
        if operation.is_multiple_of(2) {
            self.timers.insert(timer);
        } else {
            self.timers.remove(&timer);
        }
    }

    /// The first timers that are due at `now`, at most `count_max`, no two of one key, with
    /// ascending times.
    pub(super) fn due_timers(
        &self,
        domain: TimeDomain,
        now: i64,
        count_max: usize,
    ) -> Vec<(i64, Vec<u8>)> {
        let mut keys = HashSet::new();
        let of_domain = self.timers.iter().filter(|(of, ..)| *of == domain);
        of_domain
            .take_while(|(_, timestamp, _)| *timestamp <= now)
            .take_while(|(.., key)| keys.insert(key))
            .take(count_max)
            .map(|(_, timestamp, key)| (*timestamp, key.clone()))
            .collect()
    }

    pub(super) fn remove_timer(&mut self, domain: TimeDomain, timestamp: i64, key: &[u8]) {
        self.timers.remove(&(domain, timestamp, key.to_vec()));
    }

    /// The times of a key's timers, ascending.
    pub(super) fn timers_of(&self, domain: TimeDomain, key: &[u8]) -> Vec<i64> {
        let of_key = |(of, _, owner): &&(TimeDomain, i64, Vec<u8>)| *of == domain && owner == key;
        self.timers.iter().filter(of_key).map(|(_, timestamp, _)| *timestamp).collect()
    }
}

impl Stored {
    fn pack(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut push = |string: &[u8]| {
            bytes.extend_from_slice(&(string.len() as u32).to_le_bytes());
            bytes.extend_from_slice(string);
        };
        match self {
            Stored::Value(value) => return value.clone(),
            Stored::List(elements) => elements.iter().for_each(|element| push(element)),
            Stored::Map(entries) => {
                for (key, value) in entries {
                    push(key);
                    push(value);
                }
            }
        }
        bytes
    }
}

/// The key and the value of an entry that is put to a map. None if it is too short.
pub(super) fn split_entry(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entry.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
