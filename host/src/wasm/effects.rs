//! What a call returned, checked. Everything here came from untrusted code and is hostile until
//! [`check`] has seen it: after that, every index is in range and every column is well formed.

use serde::Serialize;

use super::bindings::types;
use crate::model::{
    Declaration, Fault, FaultReason, Format, Limits, Packed, Redistribution, STAMP_BYTES,
    StateKind, TimeDomain,
};

/// All that a call does to the world. Applied as a whole or not at all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// At most one column an output.
    pub outputs: Vec<OutputColumn>,
    /// At most one column a state.
    pub states: Vec<StateChanges>,
    /// At most one column a state.
    pub operator_states: Vec<OperatorStateChanges>,
    /// In the order of their causes.
    pub timers: Vec<TimerChange>,
}

/// Records for one output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputColumn {
    /// Index of the declared output.
    pub output: usize,
    /// The records.
    pub values: Packed,
    /// For each, the index of the record or timer that caused it. Ascending.
    pub origins: Vec<u32>,
}

/// Changes to one state, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChanges {
    /// Index of the declared state.
    pub state: usize,
    /// For each change, the index of its key among the call's keys.
    pub keys: Vec<u32>,
    /// For each change, its operation as in the contract, valid for the state's kind.
    pub operations: Vec<u8>,
    /// For each change, its entry.
    pub entries: Packed,
}

/// Changes to one operator state, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorStateChanges {
    /// Index of the declared operator state.
    pub state: usize,
    /// For each change, its operation as in the contract, valid for the state's kind.
    pub operations: Vec<u8>,
    /// For each change, its entry.
    pub entries: Packed,
}

impl Effects {
    /// The changes of operator states: which, the operations and the entries.
    pub fn operator_changes(&self) -> impl Iterator<Item = (usize, &[u8], &Packed)> {
        self.operator_states.iter().map(|one| (one.state, &*one.operations, &one.entries))
    }
}

/// When a source wants to be polled again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextPoll {
    /// As soon as its records have been taken.
    Now,
    /// When the host's clock reaches this time, in milliseconds.
    At(i64),
    /// Not any more.
    Never,
}

/// What happens to a timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimerOperation {
    /// It will fire.
    Register,
    /// It will not.
    Delete,
}

/// A change to a timer of the key of the record (or timer) that caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimerChange {
    /// When the timer is due.
    pub timestamp: i64,
    /// On which clock.
    pub domain: TimeDomain,
    /// What happens to it.
    pub operation: TimerOperation,
    /// Index of the record or timer that caused the change.
    pub origin: u32,
}

/// What a call was about.
pub(super) struct Extent<'a> {
    /// How many records or timers.
    pub(super) causes: usize,
    /// How many distinct keys.
    pub(super) keys: usize,
    /// For each declared state, whether what it holds begins with access times.
    pub(super) stamped: &'a [bool],
    /// Whether it was about records of a broadcast input.
    pub(super) is_broadcast: bool,
}

/// Checks what a call returned.
pub(super) fn check(
    raw: types::Effects,
    declaration: &Declaration,
    call: &Extent<'_>,
    limits: &Limits,
) -> Result<Effects, Fault> {
    let bad =
        |what: String| Fault::new(FaultReason::BadEffects, format!("malformed effects: {what}"));
    let outputs = check_outputs(raw.outputs, declaration, call.causes).map_err(bad)?;
    let states = check_states(raw.states, declaration, call).map_err(bad)?;
    let operator_states =
        check_operator_states(raw.operator_states, declaration, call.is_broadcast).map_err(bad)?;
    let timers = check_timers(raw.timers, declaration, call).map_err(bad)?;
    let bytes: usize = outputs.iter().map(|column| column.values.bytes.len()).sum();
    if bytes > limits.output_bytes {
        let limit = limits.output_bytes;
        let message =
            format!("the call sent out {bytes} bytes, more than the limit output_bytes of {limit}");
        return Err(Fault::new(FaultReason::Limit, message));
    }
    Ok(Effects { outputs, states, operator_states, timers })
}

/// Checks the keys that a function extracted from `records` records.
pub(super) fn check_keys(raw: types::PackedResult, records: usize) -> Result<Packed, Fault> {
    let bad = |what: String| Fault::new(FaultReason::BadEffects, format!("malformed keys: {what}"));
    let keys = check_packed(raw, "the keys").map_err(bad)?;
    check_length(keys.len(), records, "the keys").map_err(bad)?;
    Ok(keys)
}

type Checked<T> = std::result::Result<T, String>;

pub(super) fn check_packed(raw: types::PackedResult, what: &str) -> Checked<Packed> {
    if !raw.ends.is_sorted() {
        return Err(format!("the ends of {what} decrease"));
    }
    let last = raw.ends.last().copied().unwrap_or(0) as usize;
    if last != raw.bytes.len() {
        let bytes = raw.bytes.len();
        return Err(format!("the ends of {what} stop at {last}, but it has {bytes} bytes"));
    }
    Ok(Packed { bytes: raw.bytes, ends: raw.ends })
}

fn check_length(length: usize, wanted: usize, what: &str) -> Checked<()> {
    if length == wanted {
        return Ok(());
    }
    Err(format!("{what} has {length} elements where {wanted} belong"))
}

fn check_indexes(indexes: &[u32], count: usize, what: &str, of: &str) -> Checked<()> {
    match indexes.iter().find(|&&index| index as usize >= count) {
        None => Ok(()),
        Some(index) => Err(format!("{what} names {of} {index}, but the call had {count}")),
    }
}

fn check_outputs(
    raw: Vec<types::OutputColumn>,
    declaration: &Declaration,
    causes: usize,
) -> Checked<Vec<OutputColumn>> {
    let mut seen = vec![false; declaration.outputs.len()];
    let check = |column: types::OutputColumn| {
        let output = column.output as usize;
        let declared = declaration.outputs.get(output);
        let Some(declared) = declared else {
            let count = declaration.outputs.len();
            return Err(format!("unknown output {output}; {count} are declared"));
        };
        let what = format!("output {:?}", declared.name);
        if std::mem::replace(&mut seen[output], true) {
            return Err(format!("{what} has two columns"));
        }
        let values = check_packed(column.values, &what)?;
        if declared.format != Format::Bytes && values.bytes.contains(&b'\n') {
            return Err(format!("a record of {what} holds a line end"));
        }
        check_length(column.origins.len(), values.len(), &format!("the origins of {what}"))?;
        check_indexes(&column.origins, causes, &what, "origin")?;
        if !column.origins.is_sorted() {
            return Err(format!("the origins of {what} decrease"));
        }
        Ok(OutputColumn { output, values, origins: column.origins })
    };
    raw.into_iter().map(check).collect()
}

fn check_states(
    raw: Vec<types::StateChanges>,
    declaration: &Declaration,
    call: &Extent<'_>,
) -> Checked<Vec<StateChanges>> {
    let mut seen = vec![false; declaration.states.len()];
    let check = |column: types::StateChanges| {
        let state = column.state as usize;
        let Some(declared) = declaration.states.get(state) else {
            let count = declaration.states.len();
            return Err(format!("unknown state {state}; {count} are declared"));
        };
        let what = format!("state {:?}", declared.name);
        if std::mem::replace(&mut seen[state], true) {
            return Err(format!("{what} has two columns of changes"));
        }
        let entries = check_packed(column.entries, &what)?;
        check_length(column.keys.len(), entries.len(), &format!("the keys of {what}"))?;
        check_length(column.operations.len(), entries.len(), &format!("the operations of {what}"))?;
        check_indexes(&column.keys, call.keys, &what, "key")?;
        let is_stamped = call.stamped.get(state).copied().unwrap_or(false);
        check_operations(declared.kind, is_stamped, &column.operations, &entries)
            .map_err(|problem| format!("{what} {problem}"))?;
        Ok(StateChanges { state, keys: column.keys, operations: column.operations, entries })
    };
    raw.into_iter().map(check).collect()
}

fn check_operator_states(
    raw: Vec<types::OperatorStateChanges>,
    declaration: &Declaration,
    is_broadcast: bool,
) -> Checked<Vec<OperatorStateChanges>> {
    let mut seen = vec![false; declaration.operator_states.len()];
    let check = |column: types::OperatorStateChanges| {
        let state = column.state as usize;
        let Some(declared) = declaration.operator_states.get(state) else {
            let count = declaration.operator_states.len();
            return Err(format!("unknown operator state {state}; {count} are declared"));
        };
        let what = format!("operator state {:?}", declared.name);
        if std::mem::replace(&mut seen[state], true) {
            return Err(format!("{what} has two columns of changes"));
        }
        if declared.redistribution == Redistribution::Broadcast && !is_broadcast {
            return Err(format!(
                "{what} is broadcast state, which only records of the broadcast input may \
                 change: others do not reach every partition"
            ));
        }
        let entries = check_packed(column.entries, &what)?;
        check_length(column.operations.len(), entries.len(), &format!("the operations of {what}"))?;
        check_operations(declared.redistribution.kind(), false, &column.operations, &entries)
            .map_err(|problem| format!("{what} {problem}"))?;
        Ok(OperatorStateChanges { state, operations: column.operations, entries })
    };
    raw.into_iter().map(check).collect()
}

fn check_operations(
    kind: StateKind,
    is_stamped: bool,
    operations: &[u8],
    entries: &Packed,
) -> Checked<()> {
    let highest = if kind == StateKind::Map { 2 } else { 1 };
    if let Some(operation) = operations.iter().find(|&&operation| operation > highest) {
        return Err(format!("gets operation {operation}, which its kind does not have"));
    }
    if kind != StateKind::Map && !is_stamped {
        return Ok(());
    }
    let puts = operations.iter().zip(entries.iter()).filter(|(operation, _)| **operation == 1);
    for (_, entry) in puts {
        let value = if kind == StateKind::Map { map_value(entry) } else { Some(entry) };
        let Some(value) = value else {
            return Err("gets a put whose entry is shorter than its key".into());
        };
        if is_stamped && value.len() < STAMP_BYTES {
            return Err("has a time to live and gets a put without an access time".into());
        }
    }
    Ok(())
}

/// The value of an entry that is put to a map, if its key fits.
fn map_value(entry: &[u8]) -> Option<&[u8]> {
    let (length, rest) = entry.split_first_chunk::<4>()?;
    rest.get(u32::from_le_bytes(*length) as usize..)
}

fn check_timers(
    raw: types::TimerChanges,
    declaration: &Declaration,
    call: &Extent<'_>,
) -> Checked<Vec<TimerChange>> {
    let count = raw.timestamps.len();
    if count > 0 && !declaration.timers {
        return Err("timers change, but the function declares none".into());
    }
    if count > 0 && call.is_broadcast {
        return Err("timers change, but records of a broadcast input have no key".into());
    }
    check_length(raw.operations.len(), count, "the operations of the timers")?;
    check_length(raw.origins.len(), count, "the origins of the timers")?;
    check_indexes(&raw.origins, call.causes, "a timer", "origin")?;
    if !raw.origins.is_sorted() {
        return Err("the origins of the timers decrease".into());
    }
    let changes = raw.timestamps.iter().zip(&raw.operations).zip(&raw.origins);
    changes
        .map(|((&timestamp, &operation), &origin)| {
            let (domain, operation) = match operation {
                0 => (TimeDomain::Event, TimerOperation::Register),
                1 => (TimeDomain::Event, TimerOperation::Delete),
                2 => (TimeDomain::Processing, TimerOperation::Register),
                3 => (TimeDomain::Processing, TimerOperation::Delete),
                other => return Err(format!("a timer gets operation {other}, which there is not")),
            };
            Ok(TimerChange { timestamp, domain, operation, origin })
        })
        .collect()
}
