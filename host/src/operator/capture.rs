//! Captures the calls at which a function faults, as fixtures. Where they go is for others to say.

use super::fixture::{
    FIXTURE_VERSION, Fixture, FixtureInput, FixtureKey, FixtureOperatorState, FixtureRecord,
    FixtureState,
};
use super::partition::Operator;
use crate::model::{Batch, Bytes, Fault, FaultReason, Packed, TimeDomain};
use crate::state::Slot;
use crate::wasm::CONTRACT_VERSION;

/// The most calls of one partition that are captured: what faults at every record would fill the
/// disk.
pub const CAPTURES_MAX: u32 = 10;

/// Where captured calls go.
pub struct Captures {
    left: u32,
    keep: Box<dyn FnMut(&Fixture) + Send>,
}

impl Captures {
    /// Calls `keep` with the first [`CAPTURES_MAX`] calls at which the function faults.
    pub fn new(keep: impl FnMut(&Fixture) + Send + 'static) -> Self {
        Self { left: CAPTURES_MAX, keep: Box::new(keep) }
    }

    /// Hands on a captured call, if it is not one too many.
    pub fn keep(&mut self, fixture: &Fixture) {
        if let Some(left) = self.left.checked_sub(1) {
            self.left = left;
            (self.keep)(fixture);
        }
    }
}

impl Operator {
    /// Captures the call about the one record of the segment, at which the function has faulted.
    pub(super) fn capture_record(&mut self, input: u32, fault: &Fault, batch: &Batch, now: i64) {
        if !self.wants_capture(fault) {
            return;
        }
        let at = self.segment.start;
        let record = FixtureRecord {
            value: batch.values.get(at).into(),
            timestamp: batch.timestamps[at],
            watermark: batch.watermarks[at],
            key: self.segment.key_of.first().copied(),
        };
        let (keys, slots) = (self.segment.keys.clone(), self.segment.slots.clone());
        let input = FixtureInput::Records { input, records: vec![record] };
        self.capture(input, &keys, &slots, batch.position(at).to_string(), fault, now);
    }

    /// Captures the call about the one timer that is firing, at which the function has faulted.
    pub(super) fn capture_timer(&mut self, domain: TimeDomain, fault: &Fault, now: i64) {
        if !self.wants_capture(fault) {
            return;
        }
        let (keys, slots) = (self.firing.keys.clone(), self.firing.slots.clone());
        let timestamps = self.firing.timestamps.clone();
        let position = format!("{domain:?}-time timer {}", timestamps[0]).to_lowercase();
        let watermarks = self.firing.watermarks.clone();
        let input = FixtureInput::Timers { domain, timestamps, watermarks };
        self.capture(input, &keys, &slots, position, fault, now);
    }

    /// A record that the function says to be malformed is no fault of the function.
    fn wants_capture(&self, fault: &Fault) -> bool {
        let captures = self.settings.captures.as_ref();
        fault.reason != FaultReason::Malformed && captures.is_some_and(|one| one.left > 0)
    }

    fn capture(
        &mut self,
        input: FixtureInput,
        keys: &Packed,
        slots: &[Slot],
        position: String,
        fault: &Fault,
        now: i64,
    ) {
        let keys = keys.iter().zip(slots).map(|(key, &slot)| self.capture_key(key, slot)).collect();
        let settings = &self.settings;
        let (context, declaration) = (&settings.context, settings.component.declaration());
        let states = declaration.states.iter().enumerate().map(|(index, state)| FixtureState {
            name: state.name.clone(),
            kind: state.kind,
            schema_version: state.schema_version,
            type_name: state.type_name.clone(),
            ttl: context.ttl.get(index).copied().flatten(),
        });
        let of_operator = declaration.operator_states.iter().map(|state| FixtureOperatorState {
            name: state.name.clone(),
            redistribution: state.redistribution,
            schema_version: state.schema_version,
            type_name: state.type_name.clone(),
        });
        let operator = &self.state.operator;
        let held = declaration.operator_states.iter().enumerate();
        let held = held.map(|(index, state)| (state.name.clone(), (&*operator.get(index)).into()));
        let fixture = Fixture {
            version: FIXTURE_VERSION,
            component: *settings.component.digest(),
            contract: CONTRACT_VERSION.into(),
            operator: context.operator.clone(),
            partition: context.partition,
            parallelism: context.parallelism,
            params: context.params.clone(),
            limits: settings.limits.clone(),
            kind: declaration.kind,
            states: states.collect(),
            operator_states: of_operator.collect(),
            processing_time: now,
            keys,
            operator_state: operator.has_begun().then(|| held.collect()),
            input,
            position,
            fault: fault.clone(),
        };
        if let Some(captures) = &mut self.settings.captures {
            captures.keep(&fixture);
        }
    }

    /// All that a key has, as before the call: nothing of it has been applied.
    fn capture_key(&mut self, key: &[u8], slot: Slot) -> FixtureKey {
        let declared = &self.settings.component.declaration().states;
        let keyed = &mut self.state.keyed;
        let whole = declared.iter().enumerate().filter_map(|(index, state)| {
            let (mut forms, mut values) = (Vec::new(), Packed::default());
            let hold = &mut |_, _| unreachable!("nothing is too long to be whole");
            keyed.read(index, &[slot], usize::MAX, &mut forms, &mut values, hold);
            (forms[0] != 0).then(|| (state.name.clone(), Bytes::from(values.get(0))))
        });
        let states = whole.collect();
        let mut timers = |domain| {
            let mut times = Vec::new();
            keyed.timers(domain).for_each_of(slot, |time| times.push(time));
            times.sort_unstable();
            times
        };
        FixtureKey {
            key: key.into(),
            states,
            event_timers: timers(TimeDomain::Event),
            processing_timers: timers(TimeDomain::Processing),
        }
    }
}
