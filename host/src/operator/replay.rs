//! Makes a captured call again, with any version of the function: the state that the fixture holds,
//! migrated if the version wants that, the same limits, no dataflow. Called by `tidegate replay`.

use super::fixture::{Fixture, FixtureInput};
use super::partition::{Operator, OperatorSettings};
use super::rejected::{Rejected, Rejections};
use crate::error::{Error, Result};
use crate::model::{
    Bytes, Declaration, Fault, KeyHash, MAX_PARALLELISM_DEFAULT, Packed, StateDeclaration,
    TIME_NONE, TimeDomain, Ttl,
};
use crate::state::entry::{Entry, EntryKind};
use crate::state::{
    Fate, KeyedState, Layout, OperatorForm, OperatorState, Slot, Stamps, changed_forms,
};
use crate::wasm::{Call, CallInput, Component, LogSink, NamedEffects, OpenContext};

/// What became of a call that was made again.
#[derive(Debug)]
pub struct Replay {
    /// What it did, or the fault.
    pub outcome: Result<NamedEffects, Fault>,
    /// What was left out of the fixture because this version of the function does not have it.
    pub notes: Vec<String>,
}

/// One call that faults is the answer, and nothing to be rejected.
struct OneCall;

impl Rejections for OneCall {
    fn reject(&mut self, rejected: &Rejected<'_>) -> Result<()> {
        unreachable!("nothing is processed, but {:?} was rejected", rejected.cause)
    }
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
    check_states(fixture, component, &mut notes)?;
    let context = open_context(fixture, declaration, &mut notes);
    let keys: Packed = fixture.keys.iter().map(|key| &key.key.0).collect();
    let (keyed, slots) = restore_keys(fixture, declaration, &context.ttl, &keys)?;
    let settings = OperatorSettings {
        component: component.clone(),
        context,
        limits: fixture.limits.clone(),
        log,
        rejections: Box::new(OneCall),
        captures: None,
    };
    let operator_state = restore_operator_state(fixture, declaration);
    let outcome = match Operator::open(settings, keyed, operator_state, TIME_NONE) {
        Ok(mut operator) => {
            operator.migrate_operator_states()?;
            operator.state.keyed.load(&slots)?;
            operator.migrate(&slots)?;
            operator.call_again(fixture, &keys, &slots)
        }
        Err(fault) => Err(fault),
    };
    Ok(Replay { outcome, notes })
}

impl Operator {
    fn call_again(
        &mut self,
        fixture: &Fixture,
        keys: &Packed,
        slots: &[Slot],
    ) -> Result<NamedEffects, Fault> {
        self.state.read(slots, &mut self.columns);
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
        let (held, operator_states) = self.state.for_call();
        let effects = self.instance.call(&Call {
            input,
            keys,
            states: &self.columns,
            held,
            operator_states: &operator_states,
            processing_time: fixture.processing_time,
        })?;
        let slot_of = |origin: u32| slots[key_of[origin as usize] as usize];
        self.state.check_limits(&effects, slots, slot_of, &fixture.limits)?;
        let declaration = self.settings.component.declaration();
        Ok(NamedEffects::of(&effects, declaration, keys, &key_of))
    }
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

/// Whether the component can take over the states of the fixture, all of them by name.
fn check_states(fixture: &Fixture, component: &Component, notes: &mut Vec<String>) -> Result<()> {
    let declaration = component.declaration();
    let mut check = |name: &String, had: (String, u32), has: Option<(String, u32)>| -> Result<()> {
        let Some(has) = has else {
            notes.push(format!("the component has no state {name:?}: it is left out"));
            return Ok(());
        };
        let ((old_kind, from), (new_kind, to)) = (had, has);
        if old_kind != new_kind {
            return Err(Error::input(format!(
                "state {name:?} is a {old_kind} in the fixture and a {new_kind} in the component"
            )));
        }
        let is_step = |version: u32| {
            let mut steps = component.migrations().iter();
            steps.any(|step| step.state == *name && step.from_version == version)
        };
        if from > to || !(from..to).all(is_step) {
            return Err(Error::input(format!(
                "state {name:?} has schema version {from} in the fixture; the component has {to} \
                 and no migration from there"
            )));
        }
        Ok(())
    };
    for had in &fixture.states {
        let has = declaration.states.iter().find(|state| state.name == had.name);
        let kind = |kind| format!("{kind:?} state").to_lowercase();
        let has = has.map(|has| (kind(has.kind), has.schema_version));
        check(&had.name, (kind(had.kind), had.schema_version), has)?;
    }
    for had in &fixture.operator_states {
        let has = declaration.operator_states.iter().find(|state| state.name == had.name);
        let has = has.map(|has| (has.redistribution.name().to_owned(), has.schema_version));
        let kind = had.redistribution.name().to_owned();
        check(&had.name, (kind, had.schema_version), has)?;
    }
    Ok(())
}

fn restore_operator_state(fixture: &Fixture, declaration: &Declaration) -> OperatorState {
    let declared = &declaration.operator_states;
    let Some(held) = &fixture.operator_state else { return OperatorState::new(declared) };
    let before: Vec<OperatorForm> = fixture
        .operator_states
        .iter()
        .map(|state| OperatorForm {
            name: state.name.clone(),
            redistribution: state.redistribution,
            schema_version: state.schema_version,
            type_name: state.type_name.clone(),
            is_declared: true,
        })
        .collect();
    let forms = changed_forms(&before, declared);
    let cell = |form: &OperatorForm| {
        let had = before.iter().find(|had| had.name == form.name);
        let version = had.map_or(form.schema_version, |had| had.schema_version);
        let bytes = held.get(&form.name).map(|Bytes(bytes)| bytes.clone()).unwrap_or_default();
        (bytes, version)
    };
    let cells = forms.iter().map(cell).collect();
    OperatorState::restored(forms, cells)
}

fn open_context(
    fixture: &Fixture,
    declaration: &Declaration,
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
    // What the job file said of a state holds for the next version, too.
    let ttl = declaration.states.iter().map(|declared| {
        let had = fixture.states.iter().find(|had| had.name == declared.name);
        had.map_or(declared.ttl, |had| had.ttl)
    });
    OpenContext {
        operator: fixture.operator.clone(),
        partition: fixture.partition,
        parallelism: fixture.parallelism,
        params,
        ttl: ttl.collect(),
    }
}

/// The state and timers of the fixture's keys, laid out for the component, and the keys' slots.
fn restore_keys(
    fixture: &Fixture,
    declaration: &Declaration,
    ttl: &[Option<Ttl>],
    keys: &Packed,
) -> Result<(KeyedState, Vec<Slot>)> {
    let before: Vec<StateDeclaration> = fixture
        .states
        .iter()
        .map(|state| StateDeclaration {
            name: state.name.clone(),
            kind: state.kind,
            schema_version: state.schema_version,
            type_name: state.type_name.clone(),
            ttl: state.ttl,
        })
        .collect();
    let ttl_before: Vec<Option<Ttl>> = before.iter().map(|state| state.ttl).collect();
    let layout = Layout::new(&before, &ttl_before);
    let mut keyed = KeyedState::on_heap(layout, MAX_PARALLELISM_DEFAULT);
    let hashes: Vec<KeyHash> = keys.iter().map(KeyHash::of).collect();
    let mut slots = Vec::new();
    keyed.enter(keys, &hashes, &mut slots)?;
    for (key, &slot) in fixture.keys.iter().zip(&slots) {
        for (index, state) in (0_u16..).zip(&before) {
            let Some(Bytes(value)) = key.states.get(&state.name) else { continue };
            let kind = EntryKind::State(index);
            keyed.restore_entry(Entry { kind, key: &key.key.0, value })?;
        }
        for &time in &key.event_timers {
            keyed.register_timer(TimeDomain::Event, slot, time);
        }
        for &time in &key.processing_timers {
            keyed.register_timer(TimeDomain::Processing, slot, time);
        }
    }
    let stamps = Stamps { watermark: TIME_NONE, processing: fixture.processing_time };
    let layout = keyed.layout().changed(&declaration.states, ttl, Fate::Gone, stamps);
    keyed.set_layout(layout, false);
    Ok((keyed, slots))
}
