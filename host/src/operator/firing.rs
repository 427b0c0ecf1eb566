//! The timers of a partition: fires what is due, of each key one timer a call and in order of time.

use crate::error::Result;
use crate::model::{Batch, Fault, Packed, TimeDomain};
use crate::state::Slot;
use crate::wasm::{Call, CallInput, Effects};

use super::outputs::{FiredTimers, Outputs};
use super::partition::{Operator, call_guest};
use super::rejected::{Cause, Rejected};

/// The most timers that fire in one call.
const TIMERS_A_CALL_MAX: usize = 1024;

/// The timers of one call.
#[derive(Debug, Default)]
pub(super) struct Firing {
    timestamps: Vec<i64>,
    slots: Vec<Slot>,
    keys: Packed,
}

/// Where in the stream timers fire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// Between two batches.
    BetweenBatches,
    /// Before the first record of a segment.
    BeforeSegment,
    /// Among the records of the current segment of this batch, which have been applied but not sent out.
    WithinSegment(&'a Batch),
}

impl Place<'_> {
    fn is_between_batches(self) -> bool {
        matches!(self, Place::BetweenBatches)
    }
}

impl Operator {
    /// Fires all timers of a domain that are due at `time`, those included that are registered meanwhile.
    pub(super) fn fire_due(
        &mut self,
        domain: TimeDomain,
        time: i64,
        now: i64,
        place: Place<'_>,
        out: &mut Outputs,
    ) -> Result<()> {
        // After a fault, that many timers fire one by one: one of them is to blame.
        let mut alone = 0_usize;
        loop {
            self.take_due(domain, time, if alone > 0 { 1 } else { TIMERS_A_CALL_MAX });
            alone = alone.saturating_sub(1);
            if self.firing.slots.is_empty() {
                return Ok(());
            }
            let watermark = if domain == TimeDomain::Event { time } else { self.watermark };
            match self.call_firing(domain, watermark, now) {
                Ok(effects) => self.send_fired(&effects, domain, place, out),
                Err(_) if self.firing.slots.len() > 1 => {
                    alone = self.firing.slots.len();
                    let timers = self.firing.slots.iter().zip(&self.firing.timestamps);
                    timers.for_each(|(&slot, &at)| self.state.register_timer(domain, slot, at));
                }
                Err(fault) => {
                    let cause = Cause::Timer { timestamp: self.firing.timestamps[0], domain };
                    let key = Some(self.firing.keys.get(0));
                    self.settings.rejections.reject(&Rejected { fault: &fault, key, cause })?;
                }
            }
            self.touched.append(&mut self.firing.slots);
            // Within a batch its keys must keep their slots, even if they lose their state for a moment.
            if place.is_between_batches() {
                self.state.sweep(self.touched.drain(..));
            }
        }
    }

    /// Takes the earliest due timers out of the state, of each key one: it may register an earlier one than its
    /// next while it fires.
    fn take_due(&mut self, domain: TimeDomain, time: i64, most: usize) {
        let (state, firing) = (&mut self.state, &mut self.firing);
        firing.slots.clear();
        firing.timestamps.clear();
        firing.keys.clear();
        state.keys.begin_call();
        while firing.slots.len() < most {
            let Some((timestamp, slot)) = state.timers(domain).first() else { return };
            if timestamp > time || state.keys.local(slot).is_some() {
                return;
            }
            state.keys.set_local(slot, 0);
            state.delete_timer(domain, slot, timestamp);
            firing.timestamps.push(timestamp);
            firing.slots.push(slot);
            firing.keys.push(state.keys.key(slot));
        }
    }

    /// Calls the function over the timers that were taken and applies what it returns to state and timers.
    fn call_firing(
        &mut self,
        domain: TimeDomain,
        watermark: i64,
        now: i64,
    ) -> Result<Effects, Fault> {
        let firing = &self.firing;
        self.state.read(&firing.slots, &mut self.columns);
        let call = Call {
            input: CallInput::Timers { domain, timestamps: &firing.timestamps, watermark },
            keys: &firing.keys,
            states: &self.columns,
            processing_time: now,
        };
        let effects = call_guest(&mut self.instance, &self.settings, &call)?;
        let slot_of = |origin: u32| firing.slots[origin as usize];
        self.state.check_limits(&effects, &firing.slots, slot_of, &self.settings.limits)?;
        self.state.apply(&effects, &firing.slots, slot_of);
        Ok(effects)
    }

    fn send_fired(
        &mut self,
        effects: &Effects,
        domain: TimeDomain,
        place: Place<'_>,
        out: &mut Outputs,
    ) {
        let timers = FiredTimers { domain, timestamps: &self.firing.timestamps };
        let Place::WithinSegment(batch) = place else {
            return out.add_timers(&effects.outputs, timers, self.watermark);
        };
        let watermarks = &batch.watermarks[self.segment.start..self.segment.end];
        let (firing, late) = (&self.firing, &self.late);
        self.fired.add(&effects.outputs, timers, |timer| {
            let (slot, timestamp) = (firing.slots[timer], firing.timestamps[timer]);
            let due = watermarks.partition_point(|&watermark| watermark < timestamp) as u32;
            let is_it = |late: &&(Slot, i64, u32)| (late.0, late.1) == (slot, timestamp);
            late.iter().find(is_it).map_or(due, |late| due.max(late.2))
        });
    }
}
