//! Effects by names instead of indexes, and by what they come to instead of how: what two versions
//! of a function have in common if they do the same. For people, and to compare; never applied.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Effects, OperatorStateChanges, StateChanges, TimerOperation};
use crate::model::{Bytes, Declaration, Packed, StateKind, TimeDomain};

/// The effects of one call. Equal effects are equal values and equal JSON, whatever the order in
/// which the function declares its outputs and states and changes its keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct NamedEffects {
    /// By the name of the output, what it gets, in order. Only outputs that get something.
    pub outputs: BTreeMap<String, Vec<NamedRecord>>,
    /// By the name of the state, then by key.
    pub states: Vec<NamedChanges>,
    /// By the name of the state.
    pub operator_states: Vec<NamedChanges>,
    /// By key, domain and time.
    pub timers: Vec<NamedTimer>,
}

/// A record that a call sends out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedRecord {
    /// The index of the record or timer of the call that caused it.
    pub cause: u32,
    /// Its bytes.
    pub record: Bytes,
}

/// What a call changes of one state, of one key if it is keyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedChanges {
    /// The name of the state.
    pub state: String,
    /// The key; none for operator state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Bytes>,
    /// What it comes to: a value that is put twice is put once.
    pub changes: Vec<NamedChange>,
}

/// One change to a state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NamedChange {
    /// All that it held goes.
    Clear,
    /// It becomes this value.
    Put(Bytes),
    /// A list gets this element at its end.
    Append(Bytes),
    /// A map gets this value under this key.
    PutEntry(Bytes, Bytes),
    /// A map loses what it has under this key.
    RemoveEntry(Bytes),
}

/// What becomes of a timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NamedTimer {
    /// Whose it is.
    pub key: Bytes,
    /// On which clock.
    pub domain: TimeDomain,
    /// When it is due, in milliseconds.
    pub timestamp: i64,
    /// What happens to it at last.
    pub operation: TimerOperation,
}

impl NamedEffects {
    /// The effects of a call of the function that declares this. `keys` are the call's distinct
    /// keys, and `key_of` the key of each of its records (nothing where they have none), or of each
    /// timer, which is its own.
    ///
    /// # Panics
    /// If the effects are not those of such a call.
    pub fn of(effects: &Effects, declaration: &Declaration, keys: &Packed, key_of: &[u32]) -> Self {
        let mut outputs = BTreeMap::new();
        for column in effects.outputs.iter().filter(|column| !column.values.is_empty()) {
            let records = column.values.iter().zip(&column.origins);
            let records: Vec<_> = records
                .map(|(record, &cause)| NamedRecord { cause, record: record.into() })
                .collect();
            outputs.insert(declaration.outputs[column.output].name.clone(), records);
        }
        let mut states = BTreeMap::new();
        for StateChanges { state, keys: of_keys, operations, entries } in &effects.states {
            let declared = &declaration.states[*state];
            for ((&key, &operation), entry) in of_keys.iter().zip(operations).zip(entries.iter()) {
                let place = (declared.name.clone(), Some(Bytes::from(keys.get(key as usize))));
                let net: &mut Net = states.entry(place).or_default();
                net.add(declared.kind, operation, entry);
            }
        }
        let mut operator_states = BTreeMap::new();
        for OperatorStateChanges { state, operations, entries } in &effects.operator_states {
            let declared = &declaration.operator_states[*state];
            for (&operation, entry) in operations.iter().zip(entries.iter()) {
                let net: &mut Net =
                    operator_states.entry((declared.name.clone(), None)).or_default();
                net.add(declared.redistribution.kind(), operation, entry);
            }
        }
        Self {
            outputs,
            states: named(states),
            operator_states: named(operator_states),
            timers: named_timers(effects, keys, key_of),
        }
    }
}

fn named_timers(effects: &Effects, keys: &Packed, key_of: &[u32]) -> Vec<NamedTimer> {
    let mut timers = BTreeMap::new();
    for timer in &effects.timers {
        let key = Bytes::from(keys.get(key_of[timer.origin as usize] as usize));
        let is_processing = timer.domain == TimeDomain::Processing;
        timers.insert((key, is_processing, timer.timestamp), timer.operation);
    }
    let named = |((key, is_processing, timestamp), operation)| {
        let domain = if is_processing { TimeDomain::Processing } else { TimeDomain::Event };
        NamedTimer { key, domain, timestamp, operation }
    };
    timers.into_iter().map(named).collect()
}

fn named(states: BTreeMap<(String, Option<Bytes>), Net>) -> Vec<NamedChanges> {
    let changes = states.into_iter().map(|((state, key), net)| {
        let changes = net.changes();
        NamedChanges { state, key, changes }
    });
    changes.collect()
}

/// What operations on one state come to.
#[derive(Debug, Default)]
struct Net {
    is_cleared: bool,
    value: Option<Bytes>,
    elements: Vec<Bytes>,
    /// None for what is removed.
    entries: BTreeMap<Bytes, Option<Bytes>>,
}

impl Net {
    /// Adds an operation, which `effects` has found to fit the kind.
    fn add(&mut self, kind: StateKind, operation: u8, entry: &[u8]) {
        match (operation, kind) {
            (0, _) => *self = Self { is_cleared: true, ..Self::default() },
            (1, StateKind::Value | StateKind::Reducing | StateKind::Aggregating) => {
                // Whatever was there before goes by this, too.
                *self = Self { value: Some(entry.into()), ..Self::default() };
            }
            (1, StateKind::List) => self.elements.push(entry.into()),
            (1, StateKind::Map) => {
                let (length, rest) = entry.split_first_chunk::<4>().expect("a put has a key");
                let (key, value) = rest.split_at(u32::from_le_bytes(*length) as usize);
                self.entries.insert(key.into(), Some(value.into()));
            }
            _ if self.is_cleared => drop(self.entries.remove(&Bytes::from(entry))),
            _ => drop(self.entries.insert(entry.into(), None)),
        }
    }

    fn changes(self) -> Vec<NamedChange> {
        let entry = |(key, value)| match value {
            Some(value) => NamedChange::PutEntry(key, value),
            None => NamedChange::RemoveEntry(key),
        };
        let clear = self.is_cleared.then_some(NamedChange::Clear);
        let puts = self.value.into_iter().map(NamedChange::Put);
        let appends = self.elements.into_iter().map(NamedChange::Append);
        let entries = self.entries.into_iter().map(entry);
        clear.into_iter().chain(puts).chain(appends).chain(entries).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{OutputColumn, TimerChange};
    use super::*;
    use crate::model::{Format, Kind, Output, StateDeclaration};

    fn declaration(states: &[(&str, StateKind)], outputs: &[&str]) -> Declaration {
        let state = |(name, kind): &(&str, StateKind)| StateDeclaration {
            name: (*name).into(),
            kind: *kind,
            schema_version: 1,
            type_name: String::new(),
            ttl: None,
        };
        let output = |name: &&str| Output { name: (*name).into(), format: Format::Bytes };
        Declaration {
            kind: Kind::KeyedProcess,
            inputs: Vec::new(),
            outputs: outputs.iter().map(output).collect(),
            states: states.iter().map(state).collect(),
            operator_states: Vec::new(),
            parameters: Vec::new(),
            timers: true,
            extracts_keys: false,
        }
    }

    fn changes(state: usize, changes: &[(u32, u8, &[u8])]) -> StateChanges {
        StateChanges {
            state,
            keys: changes.iter().map(|change| change.0).collect(),
            operations: changes.iter().map(|change| change.1).collect(),
            entries: changes.iter().map(|change| change.2).collect(),
        }
    }

    fn text(text: &str) -> Bytes {
        text.as_bytes().into()
    }

    #[test]
    fn names_and_not_the_order_of_declaration_and_calls() {
        let keys: Packed = ["a", "b"].into_iter().collect();
        let timer = |timestamp, operation, origin| TimerChange {
            timestamp,
            domain: TimeDomain::Event,
            operation,
            origin,
        };
        use TimerOperation::{Delete, Register};
        let output =
            |output| OutputColumn { output, values: ["x"].into_iter().collect(), origins: vec![1] };
        let one = Effects {
            outputs: vec![output(1)],
            states: vec![changes(0, &[(0, 1, b"1"), (1, 1, b"2"), (0, 1, b"3")])],
            timers: vec![timer(5, Register, 0), timer(9, Register, 1), timer(5, Delete, 2)],
            ..Effects::default()
        };
        let nothing = OutputColumn { output: 1, values: Packed::default(), origins: Vec::new() };
        let other = Effects {
            outputs: vec![nothing, output(0)],
            states: vec![changes(1, &[(1, 1, b"2"), (0, 0, b""), (0, 1, b"3")])],
            timers: vec![timer(5, Delete, 0), timer(9, Register, 1)],
            ..Effects::default()
        };
        let first = declaration(&[("n", StateKind::Value)], &["main", "late"]);
        let second =
            declaration(&[("m", StateKind::List), ("n", StateKind::Value)], &["late", "main"]);
        let named = NamedEffects::of(&one, &first, &keys, &[0, 1, 0]);
        let other = NamedEffects::of(&other, &second, &keys, &[0, 1, 0]);
        assert_eq!(named, other);
        assert_eq!(named.outputs["late"], [NamedRecord { cause: 1, record: text("x") }]);
        assert_eq!(named.states[0].key, Some(text("a")));
        assert_eq!(named.states[0].changes, [NamedChange::Put(text("3"))]);
        let timers: Vec<_> =
            named.timers.iter().map(|timer| (timer.timestamp, timer.operation)).collect();
        assert_eq!(timers, [(5, Delete), (9, Register)]);
        let third = Effects { timers: vec![], ..one };
        assert_ne!(named, NamedEffects::of(&third, &first, &keys, &[0, 1, 0]));
    }

    #[test]
    fn lists_and_maps_come_to_what_is_left() {
        let declared = declaration(&[("list", StateKind::List), ("map", StateKind::Map)], &[]);
        let keys: Packed = ["a"].into_iter().collect();
        let effects = Effects {
            states: vec![
                changes(0, &[(0, 1, b"lost"), (0, 0, b""), (0, 1, b"x"), (0, 1, b"y")]),
                changes(1, &[(0, 2, b"k"), (0, 1, b"\x01\0\0\0jv"), (0, 1, b"\x01\0\0\0jw")]),
            ],
            ..Effects::default()
        };
        let named = NamedEffects::of(&effects, &declared, &keys, &[0]);
        use NamedChange::{Append, Clear, PutEntry, RemoveEntry};
        assert_eq!(named.states[0].changes, [Clear, Append(text("x")), Append(text("y"))]);
        let entries = [PutEntry(text("j"), text("w")), RemoveEntry(text("k"))];
        assert_eq!(named.states[1].changes, entries);
    }
}
