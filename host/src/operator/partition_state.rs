//! The keys, states and timers of one partition, changed by checked effects only.

use crate::error::Result as HostResult;
use crate::model::{Batch, Fault, FaultReason, Limits, TimeDomain, TtlUpdate};
use crate::state::{
    AHEAD, Held, KeyedState, OperatorState, OperatorStateColumn, Slot, StateChange,
};
use crate::wasm::{
    Component, Effects, OpenContext, StateChanges, StateColumn, TimerChange, TimerOperation,
};

/// All that a partition remembers between calls.
#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) keyed: KeyedState,
    pub(super) operator: OperatorState,
    states: Vec<String>,
    /// For each keyed state, the most bytes that are brought whole.
    whole_max: Vec<usize>,
    /// What the last read holds back.
    held: Vec<Held>,
}

impl PartitionState {
    pub(super) fn new(
        component: &Component,
        context: &OpenContext,
        limits: &Limits,
        keyed: KeyedState,
        operator: OperatorState,
    ) -> Self {
        let (states, whole_max, held) = Default::default();
        let mut state = Self { keyed, operator, states, whole_max, held };
        state.set_function(component, context, limits);
        state
    }

    /// Takes note of the function that the state is for.
    pub(super) fn set_function(
        &mut self,
        component: &Component,
        context: &OpenContext,
        limits: &Limits,
    ) {
        let declaration = component.declaration();
        self.states = declaration.states.iter().map(|state| state.name.clone()).collect();
        // Where reads are accesses, each writes new access times to all that it reads.
        let notes_reads = |state: usize| {
            let ttl = context.ttl.get(state).copied().flatten();
            ttl.is_some_and(|ttl| ttl.update == TtlUpdate::OnReadAndWrite)
        };
        let reads_held_state = component.reads_held_state();
        let whole_max = (0..declaration.states.len()).map(|state| {
            match reads_held_state && !notes_reads(state) {
                true => limits.whole_state_bytes,
                false => usize::MAX,
            }
        });
        self.whole_max = whole_max.collect();
    }

    /// What the last read holds back, and the operator states for a call.
    pub(super) fn for_call(&mut self) -> (&[Held], Vec<OperatorStateColumn<'_>>) {
        (&self.held, self.operator.for_call())
    }

    /// The slot of each record's key.
    pub(super) fn enter(&mut self, batch: &Batch, slots: &mut Vec<Slot>) -> HostResult<()> {
        self.keyed.enter(&batch.keys, &batch.hashes, slots)
    }

    /// Reads every state of some keys into `columns`, one a declared state.
    pub(super) fn read(&mut self, slots: &[Slot], columns: &mut [StateColumn]) {
        let Self { keyed, whole_max, held, .. } = self;
        held.clear();
        for (state, column) in columns.iter_mut().enumerate() {
            column.forms.clear();
            column.values.clear();
            let StateColumn { forms, values } = column;
            keyed.read(state, slots, whole_max[state], forms, values, &mut |key, cell| {
                held.push(Held { state: state as u32, key: key as u32, cell });
            });
        }
    }

    /// Whether effects keep within the limits of a key. `slot_of` gives the slot of a cause.
    ///
    /// # Errors
    /// A fault that names the first key past a limit.
    pub(super) fn check_limits(
        &self,
        effects: &Effects,
        slots: &[Slot],
        slot_of: impl Fn(u32) -> Slot,
        limits: &Limits,
    ) -> Result<(), Fault> {
        for changes in &effects.states {
            let found = self.keyed.find_oversized(
                changes.state,
                resolve(changes, slots),
                limits.state_bytes,
            );
            if let Some((slot, bytes)) = found {
                let state = &self.states[changes.state];
                let key = String::from_utf8_lossy(self.keyed.keys.key(slot));
                let limit = limits.state_bytes;
                let message = format!(
                    "state {state:?} of key {key:?} would have {bytes} bytes, more than the limit \
                     state_bytes of {limit}"
                );
                return Err(Fault::new(FaultReason::Limit, message));
            }
        }
        let changes = effects.operator_changes().map(|(.., entries)| entries);
        self.operator.check_limit(changes, limits.memory_bytes)?;
        self.check_timer_limit(&effects.timers, slot_of, limits.timers)
    }

    fn check_timer_limit(
        &self,
        changes: &[TimerChange],
        slot_of: impl Fn(u32) -> Slot,
        limit: usize,
    ) -> Result<(), Fault> {
        let pending = |slot| self.keyed.count_timers(slot);
        for (index, change) in changes.iter().enumerate() {
            if let Some(later) = changes.get(index + AHEAD) {
                self.keyed.prefetch_timers(slot_of(later.origin));
            }
            let slot = slot_of(change.origin);
            // Only a key that is near its limit is worth an exact count.
            if pending(slot) + index < limit {
                continue;
            }
            let mut added = std::collections::BTreeSet::new();
            let mut deleted = std::collections::BTreeSet::new();
            for change in &changes[..=index] {
                if slot_of(change.origin) != slot {
                    continue;
                }
                let timer = (change.domain == TimeDomain::Event, change.timestamp);
                let exists = self.keyed.has_timer(change.domain, slot, change.timestamp);
                match (change.operation, exists) {
                    (TimerOperation::Register, true) => deleted.remove(&timer),
                    (TimerOperation::Register, false) => added.insert(timer),
                    (TimerOperation::Delete, true) => deleted.insert(timer),
                    (TimerOperation::Delete, false) => added.remove(&timer),
                };
            }
            let timers = pending(slot) + added.len() - deleted.len();
            if timers > limit {
                let key = String::from_utf8_lossy(self.keyed.keys.key(slot));
                let message = format!(
                    "key {key:?} would have {timers} timers, more than the limit timers of {limit}"
                );
                return Err(Fault {
                    at: Some(change.origin as usize),
                    ..Fault::new(FaultReason::Limit, message)
                });
            }
        }
        Ok(())
    }

    /// Applies state and timer changes. Cannot fail: all that could be wrong has been checked.
    pub(super) fn apply(
        &mut self,
        effects: &Effects,
        slots: &[Slot],
        slot_of: impl Fn(u32) -> Slot,
    ) {
        // Nobody else may hold on to what is about to change.
        self.held.clear();
        for changes in &effects.states {
            self.keyed.apply(changes.state, resolve(changes, slots));
        }
        self.operator.apply(effects.operator_changes());
        for change in &effects.timers {
            let slot = slot_of(change.origin);
            match change.operation {
                TimerOperation::Register => {
                    self.keyed.register_timer(change.domain, slot, change.timestamp);
                }
                TimerOperation::Delete => {
                    self.keyed.delete_timer(change.domain, slot, change.timestamp)
                }
            }
        }
    }
}

/// The changes of a column with the slots of their keys.
fn resolve<'a>(
    changes: &'a StateChanges,
    slots: &'a [Slot],
) -> impl Iterator<Item = StateChange<'a>> + Clone {
    let entry = |index: usize| changes.entries.get(index);
    changes.keys.iter().zip(&changes.operations).enumerate().map(
        move |(index, (&key, &operation))| StateChange {
            slot: slots[key as usize],
            operation,
            entry: entry(index),
        },
    )
}
