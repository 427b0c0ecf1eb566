//! State and timers of the in-memory host.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::pack;
use crate::bindings::tidegate::function::declarations::{
    Declaration, Redistribution, StateDeclaration, StateKind, Ttl, TtlUpdate,
};
use crate::bindings::tidegate::function::types::{
    OperatorState, OperatorStateChanges, StateColumn,
};
use crate::context::TimeDomain;
use crate::state::{HeldStates, hold};

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
    /// For each state, the most bytes of a list or map that are pushed whole.
    whole_bytes: Vec<usize>,
    /// Ascending by time, then key, so that tests see the same order each time.
    timers: BTreeSet<(TimeDomain, i64, Vec<u8>)>,
    pub(super) operator: OperatorStore,
}

/// The operator states of the one partition there is.
pub(super) struct OperatorStore {
    kinds: Vec<StateKind>,
    states: Vec<Option<Stored>>,
    /// Whether a call has been applied.
    has_run: bool,
    /// Whether the instance holds what its last call left.
    is_known: bool,
}

impl Store {
    pub(super) fn new(declaration: &Declaration, whole_bytes: usize) -> Self {
        let notes_reads =
            |ttl: Option<Ttl>| ttl.is_some_and(|ttl| ttl.update == TtlUpdate::OnReadAndWrite);
        let whole = |state: &StateDeclaration| match notes_reads(state.ttl) {
            true => usize::MAX,
            false => whole_bytes,
        };
        let whole_bytes = declaration.states.iter().map(whole).collect();
        let kinds: Vec<_> = declaration.states.iter().map(|state| state.kind).collect();
        let states = kinds.iter().map(|_| HashMap::new()).collect();
        let operator = OperatorStore::new(declaration);
        Self { kinds, states, whole_bytes, timers: BTreeSet::new(), operator }
    }

    pub(super) fn get(&self, state: usize, key: &[u8]) -> Option<&Stored> {
        self.states[state].get(key)
    }

    /// Gives a key a state.
    pub(super) fn put(&mut self, state: usize, key: Vec<u8>, stored: Stored) {
        self.states[state].insert(key, stored);
    }

    /// Takes what all keys have in a state, ascending.
    pub(super) fn take(&mut self, state: usize) -> Vec<(Vec<u8>, Stored)> {
        let cells: BTreeMap<_, _> = std::mem::take(&mut self.states[state]).into_iter().collect();
        cells.into_iter().collect()
    }

    /// Takes the timers of another store, and whether its operator states have had a call.
    pub(super) fn take_rest(&mut self, other: &mut Self) {
        self.timers.append(&mut other.timers);
        self.operator.has_run = other.operator.has_run;
    }

    /// The state of the given keys as the contract packs it. What is too long is held back.
    pub(super) fn columns(&self, keys: &[&[u8]]) -> Vec<StateColumn> {
        let mut held = HeldStates::default();
        let mut columns = Vec::new();
        for (index, state) in (0..).zip(&self.states) {
            let mut forms = Vec::new();
            let mut values = Vec::new();
            for (key, stored) in (0..).zip(keys.iter().map(|key| state.get(*key))) {
                let packed = stored.map(Stored::pack);
                let is_long = |packed: &Vec<u8>| packed.len() > self.whole_bytes[index as usize];
                let is_long = packed.as_ref().is_some_and(is_long);
                let is_held = is_long && stored.is_some_and(|one| one.hold(index, key, &mut held));
                forms.push(if is_held { 2 } else { u8::from(stored.is_some()) });
                values.push(packed.filter(|_| !is_held).unwrap_or_default());
            }
            columns.push(StateColumn { state: index, forms, values: pack::packed(values) });
        }
        hold(held);
        columns
    }

    /// Applies one change that was checked before.
    pub(super) fn change(&mut self, state: usize, key: &[u8], operation: u8, entry: &[u8]) {
        let states = &mut self.states[state];
        let before = states.remove(key);
        if let Some(after) = Stored::change(before, self.kinds[state], operation, entry) {
            states.insert(key.to_vec(), after);
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

impl OperatorStore {
    fn new(declaration: &Declaration) -> Self {
        let kinds = declaration.operator_states.iter().map(|state| match state.redistribution {
            Redistribution::EvenSplit | Redistribution::Union => StateKind::List,
            Redistribution::Broadcast => StateKind::Map,
        });
        let kinds: Vec<_> = kinds.collect();
        let states = kinds.iter().map(|_| None).collect();
        Self { kinds, states, has_run: false, is_known: false }
    }

    pub(super) fn get(&self, state: usize) -> Option<&Stored> {
        self.states[state].as_ref()
    }

    /// Takes what the partition has in a state.
    pub(super) fn take(&mut self, state: usize) -> Option<Stored> {
        self.states[state].take()
    }

    /// Gives the partition what calls on another instance have left.
    pub(super) fn put(&mut self, state: usize, stored: Option<Stored>) {
        self.states[state] = stored;
        self.has_run = true;
        self.is_known = false;
    }

    /// The instance is gone, and what it knew.
    pub(super) fn forget_instance(&mut self) {
        self.is_known = false;
    }

    /// What goes to the instance with a call.
    pub(super) fn push(&mut self) -> Vec<OperatorState> {
        let form = if self.is_known { 2 } else { u8::from(self.has_run) };
        let push = |stored: &Option<Stored>| OperatorState {
            form,
            value: stored.as_ref().filter(|_| form == 1).map(Stored::pack).unwrap_or_default(),
        };
        let pushed = self.states.iter().map(push).collect();
        self.is_known = false;
        pushed
    }

    /// Applies changes that were checked before: those of a call that has gone well.
    pub(super) fn apply(&mut self, changes: &[OperatorStateChanges]) {
        for column in changes {
            let state = column.state as usize;
            for (operation, entry) in column.operations.iter().zip(pack::strings(&column.entries)) {
                let before = self.states[state].take();
                self.states[state] = Stored::change(before, self.kinds[state], *operation, entry);
            }
        }
        self.has_run = true;
        self.is_known = true;
    }
}

impl Stored {
    /// What an operation makes of what was there.
    fn change(before: Option<Self>, kind: StateKind, operation: u8, entry: &[u8]) -> Option<Self> {
        if operation == 0 {
            return None;
        }
        let mut stored = before.unwrap_or_else(|| match kind {
            StateKind::List => Stored::List(Vec::new()),
            StateKind::Map => Stored::Map(BTreeMap::new()),
            _ => Stored::Value(Vec::new()),
        });
        match &mut stored {
            Stored::Value(value) => *value = entry.to_vec(),
            Stored::List(elements) => elements.push(entry.to_vec()),
            Stored::Map(entries) if operation == 1 => {
                let (map_key, value) = split_entry(entry).expect("checked before");
                entries.insert(map_key.to_vec(), value.to_vec());
            }
            Stored::Map(entries) => {
                entries.remove(entry);
                if entries.is_empty() {
                    return None;
                }
            }
        }
        Some(stored)
    }

    /// Keeps it back from a call, if it is a list or a map.
    fn hold(&self, state: u32, key: u32, held: &mut HeldStates) -> bool {
        match self {
            Stored::Value(_) => return false,
            Stored::List(elements) => drop(held.lists.insert((state, key), elements.clone())),
            Stored::Map(entries) => drop(held.maps.insert((state, key), entries.clone())),
        }
        true
    }

    /// Puts other bytes in the place of each value, element or value of an entry.
    pub(super) fn replace_values(&mut self, replace: impl Fn(&[u8]) -> Vec<u8>) {
        let replace = |bytes: &mut Vec<u8>| *bytes = replace(bytes);
        match self {
            Stored::Value(value) => replace(value),
            Stored::List(elements) => elements.iter_mut().for_each(replace),
            Stored::Map(entries) => entries.values_mut().for_each(replace),
        }
    }

    /// What the contract packs in this way, if it was checked before.
    pub(super) fn unpack(kind: StateKind, mut packed: &[u8]) -> Self {
        let mut next = || {
            let (string, rest) = split_framed(packed)?;
            packed = rest;
            Some(string.to_vec())
        };
        match kind {
            StateKind::List => Stored::List(std::iter::from_fn(next).collect()),
            StateKind::Map => {
                Stored::Map(std::iter::from_fn(|| Some((next()?, next()?))).collect())
            }
            _ => Stored::Value(packed.to_vec()),
        }
    }

    pub(super) fn pack(&self) -> Vec<u8> {
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

/// The next string of a packed list or map, and what is behind it. None at the end.
pub(super) fn split_framed(packed: &[u8]) -> Option<(&[u8], &[u8])> {
    (!packed.is_empty()).then(|| split_entry(packed).expect("whole strings"))
}

/// The key and the value of an entry that is put to a map. None if it is too short.
pub(super) fn split_entry(entry: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = entry.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_le_bytes(*length) as usize)
}
