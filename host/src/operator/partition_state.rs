//! The keys, states and timers of one partition, changed by checked effects only.

use crate::model::{Batch, Declaration, Fault, FaultReason, Limits, TimeDomain};
use crate::state::{HashMapBackend, KeyTable, Slot, StateChange, Timers};
use crate::wasm::{Effects, StateChanges, StateColumn, TimerChange, TimerOperation};

/// All that a partition remembers between calls.
#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) keys: KeyTable,
    backend: HashMapBackend,
    event_timers: Timers,
    processing_timers: Timers,
    states: Vec<String>,
}

impl PartitionState {
    pub(super) fn new(declaration: &Declaration) -> Self {
        Self {
            keys: KeyTable::default(),
            backend: HashMapBackend::new(declaration.states.iter().map(|state| state.kind)),
            event_timers: Timers::default(),
            processing_timers: Timers::default(),
            states: declaration.states.iter().map(|state| state.name.clone()).collect(),
        }
    }

    /// The slot of each record's key.
    pub(super) fn enter(&mut self, batch: &Batch, slots: &mut Vec<Slot>) {
        slots.clear();
        self.keys.prefetch(&batch.hashes);
        let keys = batch.keys.iter().zip(&batch.hashes);
        slots.extend(keys.map(|(key, &hash)| self.keys.enter(key, hash)));
        self.backend.prefetch(slots);
    }

    /// Forgets keys that have neither state nor timers any more.
    pub(super) fn sweep(&mut self, slots: impl IntoIterator<Item = Slot>) {
        slots.into_iter().for_each(|slot| self.keys.sweep(slot));
    }

    /// Reads every state of some keys into `columns`, one a declared state.
    pub(super) fn read(&self, slots: &[Slot], columns: &mut [StateColumn]) {
        for (state, column) in columns.iter_mut().enumerate() {
            column.forms.clear();
            column.values.clear();
            self.backend.read(state, slots, &mut column.forms, &mut column.values);
        }
    }

    pub(super) fn timers(&mut self, domain: TimeDomain) -> &mut Timers {
        match domain {
            TimeDomain::Event => &mut self.event_timers,
            TimeDomain::Processing => &mut self.processing_timers,
        }
    }

    /// Calls `visit` with the time of each event-time timer due at `time` whose key is part of the
    /// current call, and the index of that key.
    pub(super) fn for_each_due_in_call(&mut self, time: i64, mut visit: impl FnMut(i64, u32)) {
        let Self { keys, event_timers, .. } = self;
        event_timers.for_each_due(time, |timestamp, slot| {
            if let Some(local) = keys.local(slot) {
                visit(timestamp, local);
            }
        });
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
            let found = self.backend.find_oversized(
                changes.state,
                resolve(changes, slots),
                limits.state_bytes,
            );
            if let Some((slot, bytes)) = found {
                let state = &self.states[changes.state];
                let key = String::from_utf8_lossy(self.keys.key(slot));
                let limit = limits.state_bytes;
                let message = format!(
                    "state {state:?} of key {key:?} would have {bytes} bytes, more than the limit \
                     state_bytes of {limit}"
                );
                return Err(Fault::new(FaultReason::Limit, message));
            }
        }
        self.check_timer_limit(&effects.timers, slot_of, limits.timers)
    }

    fn check_timer_limit(
        &self,
        changes: &[TimerChange],
        slot_of: impl Fn(u32) -> Slot,
        limit: usize,
    ) -> Result<(), Fault> {
        let pending = |slot| self.event_timers.count(slot) + self.processing_timers.count(slot);
        for (index, change) in changes.iter().enumerate() {
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
                let exists = self.contains(slot, change);
                match (change.operation, exists) {
                    (TimerOperation::Register, true) => deleted.remove(&timer),
                    (TimerOperation::Register, false) => added.insert(timer),
                    (TimerOperation::Delete, true) => deleted.insert(timer),
                    (TimerOperation::Delete, false) => added.remove(&timer),
                };
            }
            let timers = pending(slot) + added.len() - deleted.len();
            if timers > limit {
                let key = String::from_utf8_lossy(self.keys.key(slot));
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

    fn contains(&self, slot: Slot, change: &TimerChange) -> bool {
        match change.domain {
            TimeDomain::Event => self.event_timers.contains(slot, change.timestamp),
            TimeDomain::Processing => self.processing_timers.contains(slot, change.timestamp),
        }
    }

    /// Applies state and timer changes. Cannot fail: all that could be wrong has been checked.
    pub(super) fn apply(
        &mut self,
        effects: &Effects,
        slots: &[Slot],
        slot_of: impl Fn(u32) -> Slot,
    ) {
        for changes in &effects.states {
            self.backend.apply(changes.state, &mut self.keys, resolve(changes, slots));
        }
        for change in &effects.timers {
            let slot = slot_of(change.origin);
            match change.operation {
                TimerOperation::Register => {
                    self.register_timer(change.domain, slot, change.timestamp);
                }
                TimerOperation::Delete => self.delete_timer(change.domain, slot, change.timestamp),
            }
        }
    }

    /// Registers a timer, if it is not there.
    pub(super) fn register_timer(&mut self, domain: TimeDomain, slot: Slot, timestamp: i64) {
        if self.timers(domain).register(slot, timestamp) {
            self.keys.retain(slot);
        }
    }

    /// Deletes a timer, if it is there.
    pub(super) fn delete_timer(&mut self, domain: TimeDomain, slot: Slot, timestamp: i64) {
        if self.timers(domain).delete(slot, timestamp) {
            self.keys.release(slot);
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
