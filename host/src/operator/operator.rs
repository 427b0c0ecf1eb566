//! The operator of one partition: cuts batches into segments, calls the function, applies what it returns.
//!
//! A call over a segment is speculative. It is valid if no timer of a key was due between two records of that
//! key, which shows only when the call has said which timers it registers. If one was, the answer is thrown
//! away and a shorter segment is called: a call is a pure function, so nothing has happened.

use crate::error::Result;
use crate::model::{Batch, Fault, Limits, Packed, TIME_NONE, TimeDomain};
use crate::state::Slot;
use crate::wasm::{
    Call, CallInput, Component, Effects, Instance, LogSink, OpenContext, StateColumn,
    TimerOperation,
};

use super::outputs::{Fired, FiredTimers, Outputs};
use super::partition_state::PartitionState;
use super::rejected::{Cause, Rejected, Rejections};
use super::segment::Segment;

/// The most timers that fire in one call.
const TIMERS_A_CALL_MAX: usize = 1024;

/// What an operator is made of.
pub struct OperatorSettings {
    /// The function.
    pub component: Component,
    /// Its place in the job.
    pub context: OpenContext,
    /// What it may use.
    pub limits: Limits,
    /// Where its log lines go.
    pub log: LogSink,
    /// What becomes of records and timers at which it faults.
    pub rejections: Box<dyn Rejections + Send>,
}

/// One partition of an operator.
pub struct Operator {
    settings: OperatorSettings,
    instance: Instance,
    state: PartitionState,
    /// The watermark in force: every event-time timer up to it has fired.
    watermark: i64,
    /// The most records that a call gets: falls when timers of a key keep coming due within segments.
    records_max: usize,
    segment: Segment,
    slots: Vec<Slot>,
    columns: Vec<StateColumn>,
    fired: Fired,
    firing: Firing,
    /// Timers that a record of the current segment registered although their time was past: whose, for when,
    /// and the index of the record after it.
    late: Vec<(Slot, i64, u32)>,
    /// Keys whose timers fired since keys were last swept.
    touched: Vec<Slot>,
}

/// The timers of one call.
#[derive(Debug, Default)]
struct Firing {
    timestamps: Vec<i64>,
    slots: Vec<Slot>,
    keys: Packed,
}

/// Where in the stream timers fire.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
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
    /// Opens the function.
    ///
    /// # Errors
    /// A fault if the function refuses its parameters, or faults.
    pub fn open(settings: OperatorSettings) -> Result<Self, Fault> {
        let declaration = settings.component.declaration();
        let state = PartitionState::new(declaration);
        let columns = vec![StateColumn::default(); declaration.states.len()];
        let fired = Fired::new(declaration.outputs.len());
        let instance = open_instance(&settings)?;
        Ok(Self {
            settings,
            instance,
            state,
            watermark: TIME_NONE,
            records_max: usize::MAX,
            segment: Segment::default(),
            slots: Vec::new(),
            columns,
            fired,
            firing: Firing::default(),
            late: Vec::new(),
            touched: Vec::new(),
        })
    }

    /// Processes the records of a batch that came in through input `input`. `now` is the host's clock.
    ///
    /// # Errors
    /// If the rejections end the job. Then the partition is of no use any more.
    pub fn process(
        &mut self,
        input: u32,
        batch: &Batch,
        now: i64,
        out: &mut Outputs,
    ) -> Result<()> {
        let mut slots = std::mem::take(&mut self.slots);
        self.state.enter(batch, &mut slots);
        let mut start = 0;
        // A record that the function named as the one at which it gave up is called by itself.
        let mut suspect = usize::MAX;
        // Up to here records are called one by one, because one of them, not known which, faults.
        let mut alone_until = 0;
        while start < batch.len() {
            self.advance(batch.watermarks[start], now, Place::BeforeSegment, out)?;
            let mut end = start.saturating_add(self.records_max).min(batch.len());
            if start < alone_until || start == suspect {
                end = start + 1;
            } else if start < suspect {
                end = end.min(suspect);
            }
            self.segment.fill(batch, start, end, &slots, &mut self.state.keys);
            match self.call_segment(input, batch, now) {
                Ok(effects) => {
                    self.send_segment(&effects, batch, now, out)?;
                    start = self.segment.end;
                }
                Err(fault) if self.segment.len() > 1 => match fault.at {
                    Some(at) => suspect = start + at,
                    None => alone_until = self.segment.end,
                },
                Err(fault) => {
                    self.reject_record(&fault, batch, start)?;
                    start += 1;
                }
            }
        }
        self.state.sweep(slots.iter().copied().chain(self.touched.drain(..)));
        self.slots = slots;
        Ok(())
    }

    /// Takes note of a watermark and fires the event-time timers that are due. Older ones are ignored.
    ///
    /// # Errors
    /// If the rejections end the job.
    pub fn advance_watermark(&mut self, watermark: i64, now: i64, out: &mut Outputs) -> Result<()> {
        self.advance(watermark, now, Place::BetweenBatches, out)
    }

    /// Fires the processing-time timers that are due at `now`.
    ///
    /// # Errors
    /// If the rejections end the job.
    pub fn advance_processing_time(&mut self, now: i64, out: &mut Outputs) -> Result<()> {
        self.fire_due(TimeDomain::Processing, now, now, Place::BetweenBatches, out)
    }

    /// When the next processing-time timer is due.
    pub fn next_processing_timer(&mut self) -> Option<i64> {
        self.state.timers(TimeDomain::Processing).first().map(|(timestamp, _)| timestamp)
    }

    /// How many keys have state or timers.
    pub fn keys(&self) -> usize {
        self.state.keys.len()
    }

    /// Ends the partition in good order.
    ///
    /// # Errors
    /// A fault of the function.
    pub fn close(self) -> Result<(), Fault> {
        self.instance.close()
    }

    /// Calls the function over the segment, or over a shorter one if timers come between, and applies what it
    /// returns to state and timers. Nothing has happened after a fault.
    fn call_segment(&mut self, input: u32, batch: &Batch, now: i64) -> Result<Effects, Fault> {
        let wanted = self.segment.len();
        if let Some(records) = self.due_within_segment(batch) {
            self.segment.truncate(records);
        }
        let effects = loop {
            let segment = &self.segment;
            self.state.read(&segment.slots, &mut self.columns);
            let records = segment.start..segment.end;
            let call = Call {
                input: CallInput::Records {
                    input,
                    values: segment.values(batch),
                    timestamps: &batch.timestamps[records.clone()],
                    watermarks: &batch.watermarks[records],
                    key_of: &segment.key_of,
                },
                keys: &segment.keys,
                states: &self.columns,
                processing_time: now,
            };
            let effects = call_guest(&mut self.instance, &self.settings, &call)?;
            match registered_within_segment(segment, batch, &effects) {
                Some(records) => self.segment.truncate(records),
                None => break effects,
            }
        };
        let segment = &self.segment;
        let slot_of = |origin: u32| segment.slots[segment.key_of[origin as usize] as usize];
        self.state.check_limits(&effects, &segment.slots, slot_of, &self.settings.limits)?;
        self.state.apply(&effects, &segment.slots, slot_of);
        self.records_max = match segment.len() {
            len if len < wanted => (2 * len).max(16),
            _ => self.records_max.saturating_mul(2),
        };
        Ok(effects)
    }

    /// The first record of the segment before which a pending timer of its key is due.
    fn due_within_segment(&mut self, batch: &Batch) -> Option<usize> {
        if self.segment.slots.is_empty() {
            return None;
        }
        let segment = &self.segment;
        let mut cut: Option<usize> = None;
        let last = batch.watermarks[segment.end - 1];
        self.state.for_each_due_in_call(last, |timestamp, key| {
            if let Some(record) = segment.first_due(&batch.watermarks, key, timestamp) {
                cut = Some(cut.map_or(record, |cut| cut.min(record)));
            }
        });
        cut
    }

    /// Fires the timers that came due within the segment and sends out all that both did, in order.
    fn send_segment(
        &mut self,
        effects: &Effects,
        batch: &Batch,
        now: i64,
        out: &mut Outputs,
    ) -> Result<()> {
        let before = self.watermark;
        let segment = &self.segment;
        let watermarks = &batch.watermarks[segment.start..segment.end];
        let last = watermarks[watermarks.len() - 1];
        let first = self.state.timers(TimeDomain::Event).first();
        if first.is_none_or(|(timestamp, _)| timestamp > last) {
            out.add_records(&effects.outputs, batch, segment);
        } else {
            let late = effects.timers.iter().filter(|timer| {
                timer.domain == TimeDomain::Event
                    && timer.timestamp <= watermarks[timer.origin as usize]
            });
            self.late.clear();
            self.late.extend(late.map(|timer| {
                let slot = segment.slots[segment.key_of[timer.origin as usize] as usize];
                (slot, timer.timestamp, timer.origin + 1)
            }));
            self.fire_due(TimeDomain::Event, last, now, Place::WithinSegment(batch), out)?;
            out.add_merged(&effects.outputs, &mut self.fired, batch, &self.segment, before);
        }
        self.watermark = last;
        Ok(())
    }

    fn advance(
        &mut self,
        watermark: i64,
        now: i64,
        place: Place<'_>,
        out: &mut Outputs,
    ) -> Result<()> {
        // Also when the watermark stays: a timer that was registered for a time already past is due at once.
        let watermark = watermark.max(self.watermark);
        self.fire_due(TimeDomain::Event, watermark, now, place, out)?;
        self.watermark = watermark;
        Ok(())
    }

    /// Fires all timers of a domain that are due at `time`, those included that are registered meanwhile.
    fn fire_due(
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

    fn reject_record(&mut self, fault: &Fault, batch: &Batch, record: usize) -> Result<()> {
        let cause =
            Cause::Record { value: batch.values.get(record), position: batch.position(record) };
        let key = (!batch.keys.is_empty()).then(|| batch.keys.get(record));
        self.settings.rejections.reject(&Rejected { fault, key, cause })
    }
}

/// The first record of the segment before which a timer is due that an earlier record of its key registers.
fn registered_within_segment(segment: &Segment, batch: &Batch, effects: &Effects) -> Option<usize> {
    let last = batch.watermarks[segment.end - 1];
    let due = effects.timers.iter().filter(|timer| {
        timer.operation == TimerOperation::Register
            && timer.domain == TimeDomain::Event
            && timer.timestamp <= last
    });
    due.filter_map(|timer| segment.next_due(&batch.watermarks, timer.origin, timer.timestamp)).min()
}

/// Makes a call, and opens a fresh instance if the call has killed this one.
fn call_guest(
    instance: &mut Instance,
    settings: &OperatorSettings,
    call: &Call<'_>,
) -> Result<Effects, Fault> {
    let answer = instance.call(call);
    if let Err(fault) = &answer
        && !fault.leaves_instance_usable()
    {
        *instance = open_instance(settings)?;
    }
    answer
}

fn open_instance(settings: &OperatorSettings) -> Result<Instance, Fault> {
    let OperatorSettings { component, context, limits, log, .. } = settings;
    Instance::open(component, context, limits, log.clone())
}
