//! The check of effects under any bytes: they are taken as choices, of a function's declaration, a
//! call, and what an untrusted function returns. Called by the fuzz target `effects` and by a
//! random test; not part of the program.

use super::bindings::types;
use super::effects::{self, Effects, Extent};
use super::named_effects::NamedEffects;
use crate::model::{
    Declaration, Format, KeyHash, Kind, Limits, MAX_PARALLELISM_DEFAULT, OperatorStateDeclaration,
    Output, Packed, Redistribution, STAMP_BYTES, StateDeclaration, StateKind, Ttl, TtlUpdate,
    TtlVisibility,
};
use crate::model::{TIME_NONE, TimeDomain};
use crate::state::{KeyedState, Layout, OperatorState, StateChange};

/// Checks effects that these bytes choose. What is accepted must be well formed in every way that
/// the rest of the host relies on, and must be applied without a panic. Returns whether it was
/// accepted.
///
/// # Panics
/// If it is not so: that is what a fuzzer looks for.
pub fn check_effects(bytes: &[u8]) -> bool {
    let mut choose = Choices(bytes);
    let declaration = choose.declaration();
    let is_broadcast = choose.below(4) == 0;
    let causes = choose.below(6);
    let keys = match is_broadcast || causes == 0 {
        true => 0,
        false => 1 + choose.below(causes),
    };
    let stamped: Vec<bool> = declaration.states.iter().map(|state| state.ttl.is_some()).collect();
    let call = Extent { causes, keys, stamped: &stamped, is_broadcast };
    let limits = Limits { output_bytes: 8 + choose.below(100), ..Limits::default() };
    let raw = choose.effects(&declaration, &call);
    match effects::check(raw, &declaration, &call, &limits) {
        Ok(effects) => {
            assert_well_formed(&effects, &declaration, &call, &limits);
            apply(&effects, &declaration, &call);
            true
        }
        Err(fault) => {
            assert!(!fault.message.is_empty());
            false
        }
    }
}

/// Bytes as choices. When they run out, each choice is the first.
struct Choices<'a>(&'a [u8]);

impl Choices<'_> {
    fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        first
    }

    /// A number below `count`, or 0.
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count.max(1)
    }

    /// Seldom: a function is wrong in one or two things, or all would be refused at the first.
    fn is_wrong(&mut self) -> bool {
        self.byte() >= 0xfb
    }

    /// An index below `count`, or seldom any.
    fn index(&mut self, count: usize) -> u32 {
        if self.is_wrong() { u32::from(self.byte()) << 24 } else { self.below(count) as u32 }
    }

    /// `length`, or seldom another.
    fn length(&mut self, length: usize) -> usize {
        if self.is_wrong() { self.below(9) } else { length }
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }

    fn declaration(&mut self) -> Declaration {
        let formats = [Format::Bytes, Format::Csv, Format::Json, Format::Lines];
        let outputs = (0..self.below(4)).map(|index| Output {
            name: format!("output {index}"),
            format: formats[self.below(4)],
        });
        let outputs = outputs.collect();
        let kinds = [
            StateKind::Value,
            StateKind::List,
            StateKind::Map,
            StateKind::Reducing,
            StateKind::Aggregating,
        ];
        let states = (0..self.below(5)).map(|index| StateDeclaration {
            name: format!("state {index}"),
            kind: kinds[self.below(5)],
            schema_version: 1,
            type_name: String::new(),
            ttl: (self.below(3) == 0).then_some(TTL),
        });
        let states = states.collect();
        let redistributions =
            [Redistribution::EvenSplit, Redistribution::Union, Redistribution::Broadcast];
        let operator_states = (0..self.below(4)).map(|index| OperatorStateDeclaration {
            name: format!("operator state {index}"),
            redistribution: redistributions[self.below(3)],
            schema_version: 1,
            type_name: String::new(),
        });
        let operator_states = operator_states.collect();
        Declaration {
            kind: Kind::KeyedBroadcastProcess,
            inputs: Vec::new(),
            outputs,
            states,
            operator_states,
            parameters: Vec::new(),
            timers: self.below(4) > 0,
            extracts_keys: false,
        }
    }

    fn effects(&mut self, declaration: &Declaration, call: &Extent<'_>) -> types::Effects {
        let outputs = self.columns(declaration.outputs.len(), |choose, output| {
            let count = choose.below(5);
            types::OutputColumn {
                output,
                values: choose.packed(count, &mut |choose| choose.short()),
                origins: choose.ascending(count, call.causes),
            }
        });
        let states = self.columns(declaration.states.len(), |choose, state| {
            let declared = declaration.states.get(state as usize);
            let kind = declared.map_or(StateKind::Value, |declared| declared.kind);
            let stamped = declared.is_some_and(|declared| declared.ttl.is_some());
            let (operations, entries) = choose.changes(kind, stamped);
            let count = choose.length(operations.len());
            let keys = (0..count).map(|_| choose.index(call.keys)).collect();
            types::StateChanges { state, keys, operations, entries }
        });
        let operator_states = self.columns(declaration.operator_states.len(), |choose, state| {
            let declared = declaration.operator_states.get(state as usize);
            let is_map =
                declared.is_some_and(|one| one.redistribution == Redistribution::Broadcast);
            let kind = if is_map { StateKind::Map } else { StateKind::List };
            let (operations, entries) = choose.changes(kind, false);
            types::OperatorStateChanges { state, operations, entries }
        });
        types::Effects { outputs, states, operator_states, timers: self.timers(call) }
    }

    /// Columns of different things of which `count` are declared, or seldom of others, or twice.
    fn columns<C>(&mut self, count: usize, mut column: impl FnMut(&mut Self, u32) -> C) -> Vec<C> {
        let mut columns = Vec::new();
        for index in 0..count + usize::from(self.is_wrong()) {
            if self.below(3) > 0 {
                let index = if self.is_wrong() { self.below(6) } else { index };
                columns.push(column(self, index as u32));
            }
        }
        columns
    }

    fn packed(
        &mut self,
        count: usize,
        string: &mut dyn FnMut(&mut Self) -> Vec<u8>,
    ) -> types::PackedResult {
        let mut packed = Packed::default();
        (0..count).for_each(|_| packed.push(&string(self)));
        if self.is_wrong() && count > 0 {
            let at = self.below(count);
            packed.ends[at] = self.index(packed.bytes.len() + 3);
        }
        types::PackedResult { bytes: packed.bytes, ends: packed.ends }
    }

    fn short(&mut self) -> Vec<u8> {
        let length = self.below(12);
        self.bytes(length)
    }

    fn ascending(&mut self, count: usize, below: usize) -> Vec<u32> {
        let mut indexes: Vec<u32> = (0..self.length(count)).map(|_| self.index(below)).collect();
        if !self.is_wrong() {
            indexes.sort_unstable();
        }
        indexes
    }

    fn changes(&mut self, kind: StateKind, stamped: bool) -> (Vec<u8>, types::PackedResult) {
        let highest = if kind == StateKind::Map { 2 } else { 1 };
        let mut operations: Vec<u8> =
            (0..self.below(5)).map(|_| self.below(highest + 1) as u8).collect();
        let mut entries = operations.clone().into_iter();
        let count = operations.len();
        let entries = self.packed(count, &mut |choose| {
            let is_put = entries.next() == Some(1);
            let mut entry = Vec::new();
            if is_put && kind == StateKind::Map {
                let key = choose.short();
                let length = if choose.is_wrong() { 200 } else { key.len() as u32 };
                entry.extend_from_slice(&length.to_le_bytes());
                entry.extend(key);
            }
            if is_put && stamped && !choose.is_wrong() {
                entry.extend(choose.bytes(STAMP_BYTES));
            }
            entry.extend(choose.short());
            entry
        });
        if self.is_wrong() {
            operations.push(self.byte());
        }
        (operations, entries)
    }

    fn timers(&mut self, call: &Extent<'_>) -> types::TimerChanges {
        let count = if call.causes == 0 || self.below(2) == 0 { 0 } else { self.below(6) };
        let timestamps = (0..count).map(|_| i64::from(self.byte()) - 100).collect();
        let operations = (0..self.length(count)).map(|_| self.index(4) as u8).collect();
        let origins = self.ascending(count, call.causes);
        types::TimerChanges { timestamps, operations, origins }
    }
}

const TTL: Ttl = Ttl {
    time_ms: 10,
    domain: TimeDomain::Event,
    update: TtlUpdate::OnCreateAndWrite,
    visibility: TtlVisibility::NeverReturnExpired,
    cleanup_in_full_snapshot: true,
    cleanup_incrementally: 1,
    cleanup_in_compaction: false,
};

/// Says again, in other words, what `effects` has checked.
fn assert_well_formed(
    effects: &Effects,
    declaration: &Declaration,
    call: &Extent<'_>,
    limits: &Limits,
) {
    let are_below = |indexes: &[u32], count: usize| indexes.iter().all(|&at| (at as usize) < count);
    let mut bytes = 0;
    for column in &effects.outputs {
        let format = declaration.outputs[column.output].format;
        assert_packed(&column.values);
        assert_eq!(column.values.len(), column.origins.len());
        assert!(are_below(&column.origins, call.causes) && column.origins.is_sorted());
        assert!(format == Format::Bytes || !column.values.iter().any(|one| one.contains(&b'\n')));
        bytes += column.values.bytes.len();
    }
    assert!(bytes <= limits.output_bytes);
    for (index, changes) in effects.states.iter().enumerate() {
        assert_packed(&changes.entries);
        assert!(are_below(&changes.keys, call.keys));
        assert_eq!(changes.keys.len(), changes.entries.len());
        assert_eq!(changes.operations.len(), changes.entries.len());
        assert!(effects.states[..index].iter().all(|other| other.state != changes.state));
    }
    for changes in &effects.operator_states {
        let redistribution = declaration.operator_states[changes.state].redistribution;
        assert_packed(&changes.entries);
        assert_eq!(changes.operations.len(), changes.entries.len());
        assert!(call.is_broadcast || redistribution != Redistribution::Broadcast);
    }
    assert!(effects.timers.iter().all(|timer| (timer.origin as usize) < call.causes));
    assert!(effects.timers.is_empty() || (declaration.timers && !call.is_broadcast));
}

fn assert_packed(packed: &Packed) {
    let bytes: usize = packed.iter().map(<[u8]>::len).sum();
    assert_eq!(bytes, packed.bytes.len());
}

/// Applies effects as a partition does, and names them.
fn apply(effects: &Effects, declaration: &Declaration, call: &Extent<'_>) {
    let keys: Packed = (0..call.keys).map(|key| format!("key {key}")).collect();
    let hashes: Vec<KeyHash> = keys.iter().map(KeyHash::of).collect();
    let mut keyed = KeyedState::on_heap(Layout::of(declaration), MAX_PARALLELISM_DEFAULT);
    let mut slots = Vec::new();
    keyed.enter(&keys, &hashes, &mut slots).expect("there is no store that could fail");
    keyed.set_clocks(TIME_NONE, 0);
    for changes in &effects.states {
        let changed = (0..changes.keys.len()).map(|index| StateChange {
            slot: slots[changes.keys[index] as usize],
            operation: changes.operations[index],
            entry: changes.entries.get(index),
        });
        keyed.apply(changes.state, changed);
    }
    let key_of: Vec<u32> = match call.keys {
        0 => Vec::new(),
        keys => (0..call.causes).map(|cause| (cause % keys) as u32).collect(),
    };
    for timer in &effects.timers {
        let slot = slots[key_of[timer.origin as usize] as usize];
        keyed.register_timer(timer.domain, slot, timer.timestamp);
    }
    let mut operator = OperatorState::new(&declaration.operator_states);
    let changes = effects.operator_states.iter();
    operator.apply(changes.map(|one| (one.state, &one.operations[..], &one.entries)));
    let named = NamedEffects::of(effects, declaration, &keys, &key_of);
    assert!(named.timers.len() <= effects.timers.len());
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::*;

    #[test]
    fn whatever_a_function_returns_is_well_formed_or_refused() {
        const CASES: u32 = 20_000;
        let accepted = Cell::new(0);
        let mut runner = TestRunner::new(Config::with_cases(CASES));
        let ended = runner.run(&prop::collection::vec(any::<u8>(), 0..500), |bytes| {
            accepted.set(accepted.get() + u32::from(check_effects(&bytes)));
            Ok(())
        });
        ended.unwrap();
        // Both ways are gone often.
        let accepted = accepted.get();
        assert!((CASES / 50..CASES / 50 * 49).contains(&accepted), "{accepted} were accepted");
    }
}
