//! The timers of a partition: fires what is due, of each key one timer a call and in order of time.
//!
//! How timers are cut into calls must not show. A timer may register another one that is due before
//! timers that fired in the same call, so each timer knows its place in the stream, and outputs are
//! put in order before they are sent out.

use hashbrown::HashMap;

use crate::error::Result;
use crate::model::{Batch, Fault, FaultReason, Packed, TIME_END, TIME_NONE, TimeDomain};
use crate::state::Slot;
use crate::wasm::{Call, CallInput, Effects, TimerChange, TimerOperation};

use super::outputs::{FiredAt, Outputs};
use super::partition::{Operator, call_guest};
use super::rejected::{Cause, Rejected};

/// The most timers that fire in one call.
const TIMERS_A_CALL_MAX: usize = 1024;

/// The longest chain of timers of which each registers the next when its time has come already. A
/// longer one is taken for endless, as that of a function that always registers a timer for later
/// when the input has ended and there is no later.
const CHAIN_MAX: u32 = 1_000_000;

/// The timers of one call.
#[derive(Debug, Default)]
pub(super) struct Firing {
    pub(super) timestamps: Vec<i64>,
    /// When each timer fires in the order of the stream: at its time, but not before what
    /// registered it.
    orders: Vec<i64>,
    /// The watermark as each timer sees it.
    pub(super) watermarks: Vec<i64>,
    /// For each timer, the index within the segment of the record that it precedes.
    before: Vec<u32>,
    /// How many timers led to each, one registering the next.
    chains: Vec<u32>,
    pub(super) slots: Vec<Slot>,
    pub(super) keys: Packed,
}

impl Firing {
    fn clear(&mut self) {
        self.timestamps.clear();
        self.orders.clear();
        self.watermarks.clear();
        self.before.clear();
        self.chains.clear();
        self.slots.clear();
        self.keys.clear();
    }
}

/// What is known of timers whose time had come when they were registered.
#[derive(Debug, Default)]
pub(super) struct Overdue(HashMap<(Slot, i64), Registered>);

/// Where in the stream a timer was registered.
#[derive(Debug, Clone, Copy)]
struct Registered {
    /// The index within the segment of the record that follows.
    before: u32,
    /// The watermark that the record saw that registered it, or the order of the timer that did.
    order: i64,
    /// How many timers led to this one, one registering the next.
    chain: u32,
}

impl Overdue {
    /// Notes a timer that the record at index `record` of the segment registered, seeing
    /// `watermark`.
    pub(super) fn add(&mut self, slot: Slot, timestamp: i64, record: u32, watermark: i64) {
        self.0.insert(
            (slot, timestamp),
            Registered { before: record + 1, order: watermark, chain: 0 },
        );
    }
}

/// Where in the stream timers fire.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place<'a> {
    /// Between two batches.
    BetweenBatches,
    /// Before the first record of a segment.
    BeforeSegment,
    /// Among the records of the current segment of this batch, which have been applied but not sent
    /// out.
    WithinSegment(&'a Batch),
}

/// Whether all that was due has fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firings {
    /// Nothing more is due.
    Done,
    /// So much was sent out that the caller should pass it on before it calls again.
    More,
}

impl Operator {
    /// Fires the timers of a domain that are due at `time`, those included that are registered
    /// meanwhile.
    pub(super) fn fire_due(
        &mut self,
        domain: TimeDomain,
        time: i64,
        now: i64,
        place: Place<'_>,
        out: &mut Outputs,
    ) -> Result<Firings> {
        // After a fault, that many timers fire one by one: one of them is to blame.
        let mut alone = 0_usize;
        loop {
            let most = if alone > 0 || self.orders_all { 1 } else { TIMERS_A_CALL_MAX };
            alone = alone.saturating_sub(1);
            self.take_due(domain, time, most, place);
            if self.firing.slots.is_empty() {
                self.overdue.0.clear();
                return Ok(Firings::Done);
            }
            self.state.keyed.load(&self.firing.slots)?;
            let slots = std::mem::take(&mut self.firing.slots);
            self.migrate(&slots)?;
            self.firing.slots = slots;
            match self.call_firing(domain, time, now) {
                Ok(effects) => self.keep_fired(&effects, domain),
                Err(_) if self.firing.slots.len() > 1 => {
                    alone = self.firing.slots.len();
                    self.put_back(domain);
                }
                Err(fault) => {
                    self.capture_timer(domain, &fault, now);
                    let cause = Cause::Timer { timestamp: self.firing.timestamps[0], domain };
                    let key = Some(self.firing.keys.get(0));
                    self.settings.rejections.reject(&Rejected { fault: &fault, key, cause })?;
                }
            }
            if matches!(place, Place::WithinSegment(_)) {
                continue;
            }
            self.send_fired(domain, time, out);
            if matches!(place, Place::BetweenBatches) {
                // Within a batch its keys must keep their slots, even if they lose their state for
                // a moment.
                self.state.keyed.sweep();
                self.state.keyed.trim()?;
                if alone == 0 && out.is_large() {
                    return Ok(Firings::More);
                }
            }
        }
    }

    /// Takes the earliest due timers out of the state, of each key one: it may register an earlier
    /// one than its next while it fires.
    fn take_due(&mut self, domain: TimeDomain, time: i64, most: usize, place: Place<'_>) {
        self.firing.clear();
        self.state.keyed.keys.begin_call();
        while self.firing.slots.len() < most {
            let first = self.state.keyed.first_due(domain, time);
            let Some((timestamp, slot)) = first else { return };
            if self.state.keyed.keys.local(slot).is_some() {
                return;
            }
            self.state.keyed.keys.set_local(slot, 0);
            self.state.keyed.delete_timer(domain, slot, timestamp);
            let registered = self.overdue.0.remove(&(slot, timestamp));
            let mut before = 0;
            if let Place::WithinSegment(batch) = place {
                let watermarks = &batch.watermarks[self.segment.start..self.segment.end];
                before = watermarks.partition_point(|&watermark| watermark < timestamp) as u32;
            }
            let order = registered.map_or(timestamp, |at| at.order.max(timestamp));
            let firing = &mut self.firing;
            firing.before.push(registered.map_or(before, |at| at.before.max(before)));
            firing.chains.push(registered.map_or(0, |at| at.chain));
            firing.orders.push(order);
            firing.watermarks.push(match domain {
                TimeDomain::Processing => self.watermark,
                TimeDomain::Event if time == TIME_END => TIME_END,
                TimeDomain::Event => order,
            });
            firing.timestamps.push(timestamp);
            firing.slots.push(slot);
            firing.keys.push(self.state.keyed.keys.key(slot));
        }
    }

    /// Registers the timers again that were taken.
    fn put_back(&mut self, domain: TimeDomain) {
        let Firing { timestamps, orders, before, chains, slots, .. } = &self.firing;
        for (index, (&slot, &timestamp)) in slots.iter().zip(timestamps).enumerate() {
            self.state.keyed.register_timer(domain, slot, timestamp);
            let (before, order, chain) = (before[index], orders[index], chains[index]);
            let registered = Registered { before, order, chain };
            self.overdue.0.insert((slot, timestamp), registered);
        }
    }

    /// Calls the function over the timers that were taken and applies what it returns to state and
    /// timers.
    fn call_firing(&mut self, domain: TimeDomain, time: i64, now: i64) -> Result<Effects, Fault> {
        let firing = &self.firing;
        self.state.read(&firing.slots, &mut self.columns);
        let (held, operator_states) = self.state.for_call();
        let call = Call {
            input: CallInput::Timers {
                domain,
                timestamps: &firing.timestamps,
                watermarks: &firing.watermarks,
            },
            keys: &firing.keys,
            states: &self.columns,
            held,
            operator_states: &operator_states,
            processing_time: now,
        };
        let effects = call_guest(&mut self.instance, &self.settings, &mut self.shadow, &call)?;
        let is_due = |timer: &&TimerChange| {
            let is_event = domain == TimeDomain::Event && timer.domain == TimeDomain::Event;
            is_event && timer.operation == TimerOperation::Register && timer.timestamp <= time
        };
        for timer in effects.timers.iter().filter(is_due) {
            if firing.chains[timer.origin as usize] >= CHAIN_MAX {
                return Err(endless(timer));
            }
        }
        let slot_of = |origin: u32| firing.slots[origin as usize];
        self.state.check_limits(&effects, &firing.slots, slot_of, &self.settings.limits)?;
        self.state.apply(&effects, &firing.slots, slot_of);
        for timer in effects.timers.iter().filter(is_due) {
            let parent = timer.origin as usize;
            let (before, order) = (firing.before[parent], firing.orders[parent]);
            let registered = Registered { before, order, chain: firing.chains[parent] + 1 };
            self.overdue.0.insert((firing.slots[parent], timer.timestamp), registered);
        }
        Ok(effects)
    }

    /// Keeps what the timers of a call sent out until its order is settled.
    fn keep_fired(&mut self, effects: &Effects, domain: TimeDomain) {
        let firing = &self.firing;
        self.fired.add(&effects.outputs, |timer| {
            let timestamp = match domain {
                TimeDomain::Event => firing.timestamps[timer],
                TimeDomain::Processing => TIME_NONE,
            };
            FiredAt { before: firing.before[timer], order: firing.orders[timer], timestamp }
        });
    }

    /// Sends out what timers between segments did and what no timer that is still due can come
    /// before.
    fn send_fired(&mut self, domain: TimeDomain, time: i64, out: &mut Outputs) {
        let next = self.state.keyed.first_due(domain, time);
        // Every timer that is still due comes at its time or later.
        let settled = next.map_or(i64::MAX, |(timestamp, _)| timestamp);
        out.add_timers(&mut self.fired, settled, self.watermark);
    }
}

/// The fault of a function whose timers never come to an end.
fn endless(timer: &TimerChange) -> Fault {
    let message = format!(
        "its timers go on without end: {CHAIN_MAX} in a row each registered the next, the last for \
         {}, when its time had come already; when the input has ended, which current_watermark() \
         tells as {TIME_END}, a function must not register timers for ever",
        timer.timestamp
    );
    Fault::new(FaultReason::Limit, message)
}
