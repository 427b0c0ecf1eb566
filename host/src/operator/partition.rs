//! The operator of one partition: cuts batches into segments, calls the function, applies what it
//! returns.
//!
//! A call over a segment is speculative. It is valid if no timer of a key was due between two
//! records of that key, which shows only when the call has said which timers it registers. If one
//! was, the answer is thrown away and a shorter segment is called: a call is a pure function, so
//! nothing has happened.

use crate::env::Stopwatch;
use crate::error::Result;
use crate::model::{Batch, Fault, KeyGroup, Limits, Packed, Redistribution, TimeDomain};
use crate::state::{Fate, Frozen, KeyedState, OperatorState, Slot, SnapshotForm, Stamps};
use crate::wasm::{
    Call, CallInput, Component, Effects, Instance, LogSink, OpenContext, StateColumn, TimerChange,
    TimerOperation,
};

use super::capture::Captures;
use super::firing::{Firing, Firings, Overdue, Place};
use super::outputs::{Fired, Outputs};
use super::partition_state::PartitionState;
use super::rejected::{Cause, Rejected, Rejections};
use super::segment::Segment;
use super::shadow::{Shadow, nanos};

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
    /// Where the calls go at which it faults, if anybody wants them.
    pub captures: Option<Captures>,
}

/// What takes the place of a function.
pub struct Replacement {
    /// The new function.
    pub component: Component,
    /// Its place in the job.
    pub context: OpenContext,
    /// An instance of it, open.
    pub instance: Instance,
}

/// One partition of an operator.
pub struct Operator {
    pub(super) settings: OperatorSettings,
    pub(super) instance: Instance,
    pub(super) state: PartitionState,
    /// The watermark in force: every event-time timer up to it has fired.
    pub(super) watermark: i64,
    /// The most records that a call gets: falls when timers of a key keep coming due within
    /// segments.
    records_max: usize,
    /// Whether all records and timers, of whichever key, must come in their order, since each can
    /// change operator state that the next one sees.
    pub(super) orders_all: bool,
    pub(super) segment: Segment,
    slots: Vec<Slot>,
    pub(super) columns: Vec<StateColumn>,
    pub(super) fired: Fired,
    pub(super) firing: Firing,
    /// Timers that were registered after their time, and have not fired yet.
    pub(super) overdue: Overdue,
    /// A function that runs beside this one for comparison.
    pub(super) shadow: Option<Box<Shadow>>,
}

impl Operator {
    /// Opens the function over what its keys have: nothing yet, or what a snapshot held, with the
    /// watermark that was in force then ([`TIME_NONE`](crate::model::TIME_NONE) before the first).
    ///
    /// # Errors
    /// A fault if the function refuses its parameters, or faults.
    pub fn open(
        settings: OperatorSettings,
        keyed: KeyedState,
        operator: OperatorState,
        watermark: i64,
    ) -> Result<Self, Fault> {
        let declaration = settings.component.declaration();
        let OperatorSettings { component, context, limits, .. } = &settings;
        let state = PartitionState::new(component, context, limits, keyed, operator);
        let orders_all = declaration.timers_write_operator_state();
        let columns = vec![StateColumn::default(); declaration.states.len()];
        let fired = Fired::new(declaration.outputs.len());
        let instance = open_instance(&settings)?;
        Ok(Self {
            settings,
            instance,
            state,
            watermark,
            records_max: usize::MAX,
            segment: Segment::default(),
            slots: Vec::new(),
            columns,
            orders_all,
            fired,
            firing: Firing::default(),
            overdue: Overdue::default(),
            shadow: None,
        })
    }

    /// Lets the function make its own of union lists that a snapshot held, by a call without
    /// records before anything else: each partition has got all of them, and a checkpoint that came
    /// before its first record would hold them once more. `now` is the host's clock.
    ///
    /// # Errors
    /// A fault of the function.
    pub fn take_over(&mut self, now: i64) -> Result<(), Fault> {
        let mut declared = self.settings.component.declaration().operator_states.iter();
        let has_union = declared.any(|state| state.redistribution == Redistribution::Union);
        if !has_union || !self.state.operator.has_begun() {
            return Ok(());
        }
        let slots: [Slot; 0] = [];
        self.state.read(&slots, &mut self.columns);
        let (held, operator_states) = self.state.for_call();
        let call = Call {
            input: CallInput::Records {
                input: 0,
                values: (&[], &[]),
                timestamps: &[],
                watermarks: &[],
                key_of: &[],
            },
            keys: &Packed::default(),
            states: &self.columns,
            held,
            operator_states: &operator_states,
            processing_time: now,
        };
        let effects = call_guest(&mut self.instance, &self.settings, &mut self.shadow, &call)?;
        let slot_of = |origin: u32| slots[origin as usize];
        self.state.check_limits(&effects, &slots, slot_of, &self.settings.limits)?;
        self.state.apply(&effects, &slots, slot_of);
        Ok(())
    }

    /// Processes the records of a batch that came in through input `input`, from record `start` on.
    /// `now` is the host's clock.
    ///
    /// Returns where it stopped: at the end, or earlier if so much was sent out that the caller
    /// should pass it on before it calls again with the rest, before anything else.
    ///
    /// # Errors
    /// If the rejections end the job. Then the partition is of no use any more.
    pub fn process(
        &mut self,
        input: u32,
        batch: &Batch,
        start: usize,
        now: i64,
        out: &mut Outputs,
    ) -> Result<usize> {
        let mut slots = std::mem::take(&mut self.slots);
        self.state.keyed.set_clocks(self.watermark, now);
        self.state.enter(batch, &mut slots)?;
        self.migrate(&slots)?;
        let first = start;
        let mut start = start;
        // A record that the function named as the one at which it gave up is called by itself.
        let mut suspect = usize::MAX;
        // Up to here records are called one by one, because one of them, not known which, faults.
        let mut alone_until = 0;
        while start < batch.len() && !out.is_large() {
            self.advance(batch.watermarks[start], now, Place::BeforeSegment, out)?;
            let mut end = start.saturating_add(self.records_max).min(batch.len());
            if start < alone_until || start == suspect {
                end = start + 1;
            } else if start < suspect {
                end = end.min(suspect);
            }
            self.segment.fill(batch, start, end, &slots, &mut self.state.keyed.keys);
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
                    self.capture_record(input, &fault, batch, now);
                    self.reject_record(&fault, batch, start)?;
                    start += 1;
                }
            }
        }
        self.state.keyed.sweep();
        self.state.keyed.trim()?;
        self.state.keyed.clean_up(start - first);
        self.slots = slots;
        Ok(start)
    }

    /// Takes note of a watermark and fires the event-time timers that are due. Older ones are
    /// ignored.
    ///
    /// If there is more to fire, the caller passes on what was sent out and calls again with the
    /// same watermark, before anything else.
    ///
    /// # Errors
    /// If the rejections end the job.
    pub fn advance_watermark(
        &mut self,
        watermark: i64,
        now: i64,
        out: &mut Outputs,
    ) -> Result<Firings> {
        self.advance(watermark, now, Place::BetweenBatches, out)
    }

    /// Fires the processing-time timers that are due at `now`. If there is more to fire, as above.
    ///
    /// # Errors
    /// If the rejections end the job.
    pub fn advance_processing_time(&mut self, now: i64, out: &mut Outputs) -> Result<Firings> {
        self.fire_due(TimeDomain::Processing, now, now, Place::BetweenBatches, out)
    }

    /// When the first processing-time timer up to `until` is due.
    pub fn next_processing_timer(&mut self, until: i64) -> Option<i64> {
        let first = self.state.keyed.first_due(TimeDomain::Processing, until);
        first.map(|(timestamp, _)| timestamp)
    }

    /// Begins a snapshot of states and timers as they are between two batches, when nothing that is
    /// due waits to fire.
    ///
    /// # Errors
    /// If the store fails.
    pub fn begin_snapshot(&mut self, form: SnapshotForm) -> Result<()> {
        self.state.keyed.begin_snapshot(form)
    }

    /// The operator states between two batches, as entries of a checkpoint; none if there are none.
    pub fn operator_snapshot(&self) -> Option<Vec<u8>> {
        self.state.operator.snapshot()
    }

    /// Goes on with the snapshot for a bounded time and hands on entries by key group. Once it is
    /// complete, returns what a store holds of it.
    ///
    /// # Errors
    /// If the store fails.
    pub fn advance_snapshot(
        &mut self,
        hand_on: &mut dyn FnMut(KeyGroup, Vec<u8>),
    ) -> Result<Option<Frozen>> {
        self.state.keyed.advance_snapshot(hand_on)
    }

    /// The watermark in force.
    pub fn watermark(&self) -> i64 {
        self.watermark
    }

    /// How many keys have state or timers in memory.
    pub fn keys(&self) -> usize {
        self.state.keyed.keys.len()
    }

    /// Ends the partition in good order.
    ///
    /// # Errors
    /// A fault of the function.
    pub fn close(self) -> Result<(), Fault> {
        self.instance.close()
    }

    /// Goes on with another function from here on, between two batches, when nothing that is due
    /// waits to fire. State that the new one does not declare is kept. `now` is the host's clock.
    ///
    /// # Errors
    /// If the new function cannot take over operator state of an older schema version.
    pub fn swap(&mut self, new: Replacement, now: i64) -> Result<()> {
        let Replacement { component, context, instance } = new;
        let declaration = component.declaration();
        let stamps = Stamps { watermark: self.watermark, processing: now };
        let layout = self.state.keyed.layout();
        let layout = layout.changed(&declaration.states, &context.ttl, Fate::Kept, stamps);
        self.state.keyed.set_layout(layout, false);
        self.state.operator.change(&declaration.operator_states);
        self.orders_all = declaration.timers_write_operator_state();
        self.columns = vec![StateColumn::default(); declaration.states.len()];
        self.fired = Fired::new(declaration.outputs.len());
        self.records_max = usize::MAX;
        self.instance = instance;
        self.settings.component = component;
        self.settings.context = context;
        let OperatorSettings { component, context, limits, .. } = &self.settings;
        self.state.set_function(component, context, limits);
        self.migrate_operator_states()
    }

    /// Removes what was kept for the function before: it will not come back.
    pub fn confirm_swap(&mut self) {
        self.state.keyed.release_kept();
        self.state.operator.release_kept();
    }

    /// Opens a fresh instance in place of one that a fault has killed.
    pub(super) fn reopen(&mut self) -> Result<(), Fault> {
        self.instance = open_instance(&self.settings)?;
        Ok(())
    }

    /// Calls the function over the segment, or over a shorter one if timers come between, and
    /// applies what it returns to state and timers. Nothing has happened after a fault.
    fn call_segment(&mut self, input: u32, batch: &Batch, now: i64) -> Result<Effects, Fault> {
        let wanted = self.segment.len();
        if let Some(records) = self.due_within_segment(batch) {
            self.segment.truncate(records);
        }
        let effects = loop {
            let segment = &self.segment;
            self.state.read(&segment.slots, &mut self.columns);
            let (held, operator_states) = self.state.for_call();
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
                held,
                operator_states: &operator_states,
                processing_time: now,
            };
            let effects = call_guest(&mut self.instance, &self.settings, &mut self.shadow, &call)?;
            match registered_within_segment(segment, batch, &effects, self.orders_all) {
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
        let segment = &self.segment;
        // Records without keys are of a broadcast input: timers see what those before them made.
        let last = batch.watermarks[segment.end - 1];
        if self.orders_all || segment.slots.is_empty() {
            let (timestamp, _) = self.state.keyed.first_due(TimeDomain::Event, last)?;
            return segment.first_due_after(&batch.watermarks, 0, timestamp);
        }
        let mut cut: Option<usize> = None;
        self.state.keyed.for_each_due_in_call(last, |timestamp, key| {
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
        if self.state.keyed.first_due(TimeDomain::Event, last).is_none() {
            out.add_records(&effects.outputs, batch, segment);
        } else {
            for timer in &effects.timers {
                let (record, seen) = (timer.origin, watermarks[timer.origin as usize]);
                if timer.domain == TimeDomain::Event && timer.timestamp <= seen {
                    let slot = segment.slots[segment.key_of[record as usize] as usize];
                    self.overdue.add(slot, timer.timestamp, record, seen);
                }
            }
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
    ) -> Result<Firings> {
        // Also when the watermark stays: a timer that was registered for a time already past is due
        // at once.
        let watermark = watermark.max(self.watermark);
        let firings = self.fire_due(TimeDomain::Event, watermark, now, place, out)?;
        if firings == Firings::Done {
            self.watermark = watermark;
        }
        Ok(firings)
    }

    fn reject_record(&mut self, fault: &Fault, batch: &Batch, record: usize) -> Result<()> {
        let cause =
            Cause::Record { value: batch.values.get(record), position: batch.position(record) };
        let key = (!batch.keys.is_empty()).then(|| batch.keys.get(record));
        self.settings.rejections.reject(&Rejected { fault, key, cause })
    }
}

/// The first record of the segment before which a timer is due that an earlier record of its key
/// registers. With `any_key`, before which any timer is due.
fn registered_within_segment(
    segment: &Segment,
    batch: &Batch,
    effects: &Effects,
    any_key: bool,
) -> Option<usize> {
    let last = batch.watermarks[segment.end - 1];
    let due = effects.timers.iter().filter(|timer| {
        timer.operation == TimerOperation::Register
            && timer.domain == TimeDomain::Event
            && timer.timestamp <= last
    });
    let next = |timer: &TimerChange| match any_key {
        true => segment.first_due_after(&batch.watermarks, timer.origin, timer.timestamp),
        false => segment.next_due(&batch.watermarks, timer.origin, timer.timestamp),
    };
    due.filter_map(next).min()
}

/// Makes a call, and opens a fresh instance if the call has killed this one. A function that runs
/// beside gets the same call.
pub(super) fn call_guest(
    instance: &mut Instance,
    settings: &OperatorSettings,
    shadow: &mut Option<Box<Shadow>>,
    call: &Call<'_>,
) -> Result<Effects, Fault> {
    let watch = shadow.as_ref().map(|_| Stopwatch::start());
    let answer = instance.call(call);
    if let (Some(shadow), Some(watch)) = (shadow, watch) {
        let running = settings.component.declaration();
        shadow.compare(call, running, &answer, nanos(&watch));
    }
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
