//! Makes a captured call again, with any version of the function: the state that the fixture holds,
//! the same limits, no dataflow. Called by `tidegate replay`.

use super::fixture::{Fixture, FixtureInput};
use super::partition_state::PartitionState;
use crate::error::{Error, Result};
use crate::model::{
    Bytes, Declaration, Fault, KeyHash, MAX_PARALLELISM_DEFAULT, Packed, TimeDomain, Ttl,
};
use crate::state::entry::{Entry, EntryKind};
use crate::state::{KeyedState, Lifetimes, OperatorState, Restamp, Slot, StateSettings, kind_of};
use crate::wasm::{
    Call, CallInput, Component, Instance, LogSink, NamedEffects, OpenContext, StateColumn,
};

/// What became of a call that was made again.
#[derive(Debug)]
pub struct Replay {
    /// What it did, or the fault.
    pub outcome: Result<NamedEffects, Fault>,
    /// What was left out of the fixture because this version of the function does not have it.
    pub notes: Vec<String>,
}

/// Makes the call of a fixture. The same component gives the same each time.
///
/// # Errors
/// If the fixture is none, or the component cannot be called with it.
pub fn replay(fixture: &Fixture, component: &Component, log: LogSink) -> Result<Replay> {
    fixture.validate()?;
    let declaration = component.declaration();
    check_input(fixture, declaration)?;
    let mut notes = Vec::new();
    let states = match_states(fixture, declaration, &mut notes)?;
    let operator = restore_operator_state(fixture, declaration, &mut notes)?;
    let context = open_context(fixture, declaration, &states, &mut notes);
    let keys: Packed = fixture.keys.iter().map(|key| &key.key.0).collect();
    let (keyed, slots) = restore_keys(fixture, declaration, &states, &context.ttl, &keys)?;
    let state = PartitionState::new(component, &context, &fixture.limits, keyed, operator);
    let outcome = Instance::open(component, &context, &fixture.limits, log)
        .and_then(|instance| call(instance, fixture, declaration, state, &keys, &slots));
    Ok(Replay { outcome, notes })
}

fn call(
    mut instance: Instance,
    fixture: &Fixture,
    declaration: &Declaration,
    mut state: PartitionState,
    keys: &Packed,
    slots: &[Slot],
) -> Result<NamedEffects, Fault> {
    let mut columns = vec![StateColumn::default(); declaration.states.len()];
    state.read(slots, &mut columns);
    let mut values = Packed::default();
    let (mut timestamps, mut watermarks, mut key_of) = (Vec::new(), Vec::new(), Vec::new());
    let input = match &fixture.input {
        FixtureInput::Records { input, records } => {
            for record in records {
                values.push(&record.value.0);
                timestamps.push(record.timestamp);
                watermarks.push(record.watermark);
                key_of.extend(record.key);
            }
            CallInput::Records {
                input: *input,
                values: (&values.bytes, &values.ends),
                timestamps: &timestamps,
                watermarks: &watermarks,
                key_of: &key_of,
            }
        }
        FixtureInput::Timers { domain, timestamps, watermarks } => {
            key_of.extend((0_u32..).take(timestamps.len()));
            CallInput::Timers { domain: *domain, timestamps, watermarks }
        }
    };
    let (held, operator_states) = state.for_call();
    let effects = instance.call(&Call {
        input,
        keys,
        states: &columns,
        held,
        operator_states: &operator_states,
        processing_time: fixture.processing_time,
    })?;
    let slot_of = |origin: u32| slots[key_of[origin as usize] as usize];
    state.check_limits(&effects, slots, slot_of, &fixture.limits)?;
    Ok(NamedEffects::of(&effects, declaration, keys, &key_of))
}

/// Whether the component takes such records or timers at all.
fn check_input(fixture: &Fixture, declaration: &Declaration) -> Result<()> {
    let (old, new) = (fixture.kind.name(), declaration.kind.name());
    let takes = match &fixture.input {
        FixtureInput::Records { input, records } => {
            let is_there = (*input as usize) < declaration.inputs.len();
            let has_keys = records.iter().any(|record| record.key.is_some());
            is_there && declaration.kind.has_keys(*input as usize) == has_keys
        }
        FixtureInput::Timers { .. } => declaration.timers,
    };
    if takes {
        return Ok(());
    }
    Err(Error::input(format!(
        "the fixture is of a {old} function; the component is a {new} function, which gets no such \
         call"
    ))
    .hint("name a version of the function that was captured"))
}

/// For each declared state, the index of the fixture's state of that name.
fn match_states(
    fixture: &Fixture,
    declaration: &Declaration,
    notes: &mut Vec<String>,
) -> Result<Vec<Option<usize>>> {
    for captured in &fixture.states {
        let name = &captured.name;
        let Some(declared) = declaration.states.iter().find(|state| state.name == *name) else {
            notes.push(format!("the component has no state {name:?}: it is left out"));
            continue;
        };
        if declared.kind != captured.kind {
            return Err(Error::input(format!(
                "state {name:?} is a {:?} state in the fixture and a {:?} state in the component",
                captured.kind, declared.kind
            )));
        }
        let (old, new) = (captured.schema_version, declared.schema_version);
        if old != new {
            notes.push(format!("state {name:?} has schema version {new}, the fixture has {old}"));
        }
    }
    let index = |name: &String| fixture.states.iter().position(|state| state.name == *name);
    Ok(declaration.states.iter().map(|state| index(&state.name)).collect())
}

fn restore_operator_state(
    fixture: &Fixture,
    declaration: &Declaration,
    notes: &mut Vec<String>,
) -> Result<OperatorState> {
    let declared = &declaration.operator_states;
    for captured in &fixture.operator_states {
        let name = &captured.name;
        match declared.iter().find(|state| state.name == *name) {
            None => notes.push(format!("the component has no state {name:?}: it is left out")),
            Some(found) if kind_of(found.redistribution) != kind_of(captured.redistribution) => {
                return Err(Error::input(format!(
                    "operator state {name:?} is a {} in the fixture and a {} in the component",
                    captured.redistribution.name(),
                    found.redistribution.name()
                )));
            }
            Some(_) => {}
        }
    }
    let Some(held) = &fixture.operator_state else { return Ok(OperatorState::new(declared)) };
    let cell = |name| held.get(name).map(|Bytes(bytes)| bytes.clone()).unwrap_or_default();
    let cells = declared.iter().map(|state| cell(&state.name));
    Ok(OperatorState::restored(declared, cells.collect()))
}

fn open_context(
    fixture: &Fixture,
    declaration: &Declaration,
    states: &[Option<usize>],
    notes: &mut Vec<String>,
) -> OpenContext {
    let is_declared = |name: &str| declaration.parameters.iter().any(|one| one.name == name);
    let (params, unknown): (Vec<_>, Vec<_>) =
        fixture.params.iter().cloned().partition(|(name, _)| is_declared(name));
    notes.extend(
        unknown
            .into_iter()
            .map(|(name, _)| format!("the component has no parameter {name:?}: it is left out")),
    );
    // A state that was there keeps its form, of which access times are a part.
    let ttl = declaration.states.iter().zip(states).map(|(declared, found)| match found {
        Some(index) => fixture.states[*index].ttl,
        None => declared.ttl,
    });
    OpenContext {
        operator: fixture.operator.clone(),
        partition: fixture.partition,
        parallelism: fixture.parallelism,
        params,
        ttl: ttl.collect(),
    }
}

/// The state and timers of the fixture's keys, and their slots.
fn restore_keys(
    fixture: &Fixture,
    declaration: &Declaration,
    states: &[Option<usize>],
    ttl: &[Option<Ttl>],
    keys: &Packed,
) -> Result<(KeyedState, Vec<Slot>)> {
    let settings = declaration.states.iter().zip(ttl);
    let settings = settings.map(|(state, ttl)| StateSettings { kind: state.kind, ttl: *ttl });
    let mut keyed = KeyedState::on_heap(Lifetimes::new(settings), MAX_PARALLELISM_DEFAULT);
    let hashes: Vec<KeyHash> = keys.iter().map(KeyHash::of).collect();
    let mut slots = Vec::new();
    keyed.enter(keys, &hashes, &mut slots)?;
    let state_of: Vec<_> = (0..states.len()).map(|state| (state, Restamp::Keep)).collect();
    for (key, &slot) in fixture.keys.iter().zip(&slots) {
        for (index, found) in (0_u16..).zip(states) {
            let name = found.map(|found| &fixture.states[found].name);
            let Some(Bytes(value)) = name.and_then(|name| key.states.get(name)) else { continue };
            let kind = EntryKind::State(index);
            keyed.restore_entry(Entry { kind, key: &key.key.0, value }, &state_of)?;
        }
        for &time in &key.event_timers {
            keyed.register_timer(TimeDomain::Event, slot, time);
        }
        for &time in &key.processing_timers {
            keyed.register_timer(TimeDomain::Processing, slot, time);
        }
    }
    Ok((keyed, slots))
}
