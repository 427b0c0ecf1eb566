//! The in-memory host: pushes records, moves the clocks, keeps what comes out.

use std::marker::PhantomData;

use super::builder::Builder;
use super::fault::Fault;
use super::pack::{self, Clocks, Input};
use super::store::Store;
use super::validate::{self, Extent};
use crate::bindings::tidegate::function::declarations::Declaration;
use crate::bindings::tidegate::function::types::{self, Effects, PollRequest};
use crate::context::TimeDomain;
use crate::error::Result;
use crate::function::NextPoll;
use crate::runtime::Instance;

/// The contract's number of the broadcast input, where there is one.
const BROADCAST_INPUT: u32 = 1;

/// How many timers may fire in one advance, before the harness takes it that they never end.
const FIRINGS_MAX: usize = 100_000;

/// A function with an in-memory host around it. See the [module](super) for an example.
///
/// After a fault the function is opened anew, as a host does; state and timers stay as they were
/// before the call.
pub struct Harness<M> {
    builder: Builder<M>,
    pub(super) instance: Instance,
    pub(super) declaration: Declaration,
    pub(super) store: Store,
    /// What was sent to each output and not yet taken.
    pub(super) outputs: Vec<Vec<Vec<u8>>>,
    pub(super) watermark: i64,
    pub(super) processing_time: i64,
    _mode: PhantomData<M>,
}

impl<M> Harness<M> {
    pub(super) fn new(builder: Builder<M>, declaration: Declaration, instance: Instance) -> Self {
        Self {
            store: Store::new(&declaration, builder.whole_state_bytes),
            builder,
            instance,
            outputs: declaration.outputs.iter().map(|_| Vec::new()).collect(),
            declaration,
            watermark: i64::MIN,
            processing_time: 0,
            _mode: PhantomData,
        }
    }

    /// Moves the watermark and fires the event-time timers that are due, in the order of their
    /// times; also those that are registered meanwhile. A lower watermark than before changes
    /// nothing.
    ///
    /// # Errors
    /// The fault of the call that fired a timer. That timer stays registered.
    pub fn advance_watermark(&mut self, watermark: i64) -> Result<(), Fault> {
        let before = self.watermark;
        self.watermark = before.max(watermark);
        self.fire_due(TimeDomain::EventTime, self.watermark, before)
    }

    /// Moves the host's clock and fires the processing-time timers that are due, as
    /// [`advance_watermark`](Self::advance_watermark) does. The clock starts at 0.
    ///
    /// # Errors
    /// The fault of the call that fired a timer. That timer stays registered.
    pub fn advance_processing_time(&mut self, time: i64) -> Result<(), Fault> {
        self.processing_time = self.processing_time.max(time);
        self.fire_due(TimeDomain::ProcessingTime, self.processing_time, self.watermark)
    }

    /// Opens the function anew and goes on with the same state, as a host may do after any call.
    ///
    /// # Errors
    /// If the function refuses to open.
    pub fn restart(&mut self) -> Result<(), Fault> {
        self.store.operator.forget_instance();
        self.instance = (self.builder.open)(self.builder.context.clone())?;
        Ok(())
    }

    /// Goes on with the same state and other parameters, as a restored job may.
    #[cfg(test)]
    pub(crate) fn reopen(&mut self, builder: Builder<M>) -> Result<(), Fault> {
        self.builder = builder;
        self.restart()
    }

    /// Ends the input: the watermark becomes `i64::MAX`, every event-time timer fires, and the
    /// function is closed. Gives what was sent to the main output since it was last taken.
    ///
    /// # Errors
    /// The fault of the call that fired a timer.
    pub fn finish(mut self) -> Result<Vec<String>, Fault> {
        self.advance_watermark(i64::MAX)?;
        let output = self.take_output();
        self.instance.close();
        Ok(output)
    }

    /// Processes records of input `input` in one call.
    pub(super) fn run(&mut self, input: u32, inputs: &[Input]) -> Result<(), Fault> {
        let clocks = Clocks { watermark: self.watermark, processing: self.processing_time };
        let batch = pack::batch(input, inputs, &mut self.store, clocks);
        let keys: Vec<Vec<u8>> = pack::strings(&batch.keys).map(<[u8]>::to_vec).collect();
        let key_of = batch.key_of.clone();
        let is_broadcast = input == BROADCAST_INPUT;
        let extent = Extent { causes: inputs.len(), keys: keys.len(), is_broadcast };
        let effects = self.instance.process(batch);
        let effects = self.check(effects, extent)?;
        self.apply(effects, &keys, |cause| key_of[cause] as usize);
        // A timer that was registered for a time already past is due at once.
        self.fire_due(TimeDomain::EventTime, self.watermark, self.watermark)
    }

    /// Asks a source for records in one call.
    pub(super) fn ask(&mut self, records_max: u32) -> Result<NextPoll, Fault> {
        let request = PollRequest {
            records_max,
            operator_states: self.store.operator.push(),
            processing_time: self.processing_time,
        };
        let polled = self.instance.poll(request);
        let next = polled.as_ref().map_or(types::NextPoll::Never, |polled| polled.next);
        let extent = Extent { causes: 1, keys: 0, is_broadcast: false };
        let effects = self.check(polled.map(|polled| polled.effects), extent)?;
        self.apply(effects, &[], |cause| cause);
        Ok(match next {
            types::NextPoll::Now => NextPoll::Now,
            types::NextPoll::At(time) => NextPoll::At(time),
            types::NextPoll::Never => NextPoll::Never,
        })
    }

    /// Fires what is due. `before` is the watermark that was in force until now.
    fn fire_due(&mut self, domain: TimeDomain, now: i64, before: i64) -> Result<(), Fault> {
        let watermark = |timestamp: i64| match domain {
            TimeDomain::EventTime if now == i64::MAX => i64::MAX,
            TimeDomain::EventTime => before.max(timestamp),
            TimeDomain::ProcessingTime => before,
        };
        for _ in 0..FIRINGS_MAX {
            let count_max = if self.builder.are_timers_batched { usize::MAX } else { 1 };
            let due = self.store.due_timers(domain, now, count_max);
            if due.is_empty() {
                return Ok(());
            }
            let batch =
                pack::timers(domain, &due, &mut self.store, watermark, self.processing_time);
            let extent = Extent { causes: due.len(), keys: due.len(), is_broadcast: false };
            let effects = self.instance.fire(batch);
            let effects = self.check(effects, extent)?;
            let mut keys = Vec::with_capacity(due.len());
            for (timestamp, key) in due {
                self.store.remove_timer(domain, timestamp, &key);
                keys.push(key);
            }
            self.apply(effects, &keys, |cause| cause);
        }
        Err(Fault::failed("timers go on to register timers that are already due"))
    }

    fn check(
        &mut self,
        effects: Result<Effects, types::Fault>,
        extent: Extent,
    ) -> Result<Effects, Fault> {
        let checked = effects
            .map_err(Fault::from)
            .and_then(|effects| validate::effects(effects, &self.declaration, extent));
        if checked.is_err() {
            self.restart()?;
        }
        checked
    }

    fn apply(&mut self, effects: Effects, keys: &[Vec<u8>], key_of: impl Fn(usize) -> usize) {
        for column in effects.outputs {
            let records = pack::strings(&column.values).map(<[u8]>::to_vec);
            self.outputs[column.output as usize].extend(records);
        }
        for changes in effects.states {
            let entries = pack::strings(&changes.entries);
            for ((key, operation), entry) in
                changes.keys.iter().zip(changes.operations).zip(entries)
            {
                let key = &keys[*key as usize];
                self.store.change(changes.state as usize, key, operation, entry);
            }
        }
        self.store.operator.apply(&effects.operator_states);
        let timers = effects.timers;
        for ((timestamp, operation), origin) in
            timers.timestamps.iter().zip(timers.operations).zip(timers.origins)
        {
            let key = &keys[key_of(origin as usize)];
            self.store.change_timer(*timestamp, operation, key);
        }
    }
}
