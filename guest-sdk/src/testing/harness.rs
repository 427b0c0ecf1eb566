//! The in-memory host: pushes records, moves the clocks, keeps what comes out.

use std::marker::PhantomData;

use super::builder::Builder;
use super::fault::Fault;
use super::pack::{self, Input};
use super::store::Store;
use super::validate::{self, Extent};
use crate::bindings::tidegate::function::declarations::Declaration;
use crate::bindings::tidegate::function::types::{self, Effects};
use crate::context::TimeDomain;
use crate::error::Result;
use crate::function::{
    KeyedCoProcessFunction, KeyedProcessFunction, ProcessFunction, RichFlatMapFunction,
    RichMapFunction,
};
use crate::runtime::{
    Instance, KeyedCoProcess, KeyedProcess, Process, RichFlatMap, RichMap, Window,
};
use crate::window::WindowFunction;

/// How many timers may fire in one advance, before the harness takes it that they never end.
const FIRINGS_MAX: usize = 100_000;

/// Marks a harness of a function whose records have keys.
pub enum WithKeys {}

/// Marks a harness of a function with two inputs whose records have keys.
pub enum WithTwoInputs {}

/// Marks a harness of a function whose records have no keys.
pub enum WithoutKeys {}

/// A function with an in-memory host around it. See the [module](super) for an example.
///
/// After a fault the function is opened anew, as a host does; state and timers stay as they were
/// before the call.
pub struct Harness<M> {
    builder: Builder<M>,
    instance: Instance,
    pub(super) declaration: Declaration,
    pub(super) store: Store,
    /// What was sent to each output and not yet taken.
    pub(super) outputs: Vec<Vec<Vec<u8>>>,
    watermark: i64,
    processing_time: i64,
    _mode: PhantomData<M>,
}

impl Harness<WithKeys> {
    /// Tests a [`KeyedProcessFunction`].
    pub fn keyed_process<F: KeyedProcessFunction>() -> Builder<WithKeys> {
        Builder::new::<KeyedProcess<F>>()
    }

    /// Tests a [`RichFlatMapFunction`].
    pub fn rich_flat_map<F: RichFlatMapFunction>() -> Builder<WithKeys> {
        Builder::new::<RichFlatMap<F>>()
    }

    /// Tests a [`RichMapFunction`].
    pub fn rich_map<F: RichMapFunction>() -> Builder<WithKeys> {
        Builder::new::<RichMap<F>>()
    }

    /// Tests a [`WindowFunction`].
    pub fn window<F: WindowFunction>() -> Builder<WithKeys> {
        Builder::new::<Window<F>>()
    }

    /// Processes one record with the given key and event time in milliseconds, in a call of its
    /// own.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push(
        &mut self,
        key: impl AsRef<[u8]>,
        record: impl AsRef<[u8]>,
        event_time: i64,
    ) -> Result<(), Fault> {
        self.push_all([(key, record, event_time)])
    }

    /// Processes one record that has no event time.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push_untimed(
        &mut self,
        key: impl AsRef<[u8]>,
        record: impl AsRef<[u8]>,
    ) -> Result<(), Fault> {
        self.run(0, &[Input::new(&key, &record, None)])
    }

    /// Processes several records, given as key, record and event time, in ONE call.
    ///
    /// # Errors
    /// The fault of the call: none of the records has then had an effect.
    pub fn push_all<K: AsRef<[u8]>, R: AsRef<[u8]>>(
        &mut self,
        records: impl IntoIterator<Item = (K, R, i64)>,
    ) -> Result<(), Fault> {
        let inputs: Vec<Input> = records
            .into_iter()
            .map(|(key, record, time)| Input::new(&key, &record, Some(time)))
            .collect();
        self.run(0, &inputs)
    }
}

impl Harness<WithTwoInputs> {
    /// Tests a [`KeyedCoProcessFunction`].
    pub fn keyed_co_process<F: KeyedCoProcessFunction>() -> Builder<WithTwoInputs> {
        Builder::new::<KeyedCoProcess<F>>()
    }

    /// Processes one record of the first input with the given key and event time in milliseconds,
    /// in a call of its own.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push1(
        &mut self,
        key: impl AsRef<[u8]>,
        record: impl AsRef<[u8]>,
        event_time: i64,
    ) -> Result<(), Fault> {
        self.run(0, &[Input::new(&key, &record, Some(event_time))])
    }

    /// Processes one record of the second input, as [`push1`](Self::push1) does of the first.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push2(
        &mut self,
        key: impl AsRef<[u8]>,
        record: impl AsRef<[u8]>,
        event_time: i64,
    ) -> Result<(), Fault> {
        self.run(1, &[Input::new(&key, &record, Some(event_time))])
    }
}

impl Harness<WithoutKeys> {
    /// Tests a [`ProcessFunction`].
    pub fn process<F: ProcessFunction>() -> Builder<WithoutKeys> {
        Builder::new::<Process<F>>()
    }

    /// Processes one record with the given event time in milliseconds, in a call of its own.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push(&mut self, record: impl AsRef<[u8]>, event_time: i64) -> Result<(), Fault> {
        self.push_all([(record, event_time)])
    }

    /// Processes one record that has no event time.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push_untimed(&mut self, record: impl AsRef<[u8]>) -> Result<(), Fault> {
        self.run(0, &[Input::without_key(&record, None)])
    }

    /// Processes several records, given with their event times, in ONE call.
    ///
    /// # Errors
    /// The fault of the call: none of the records has then had an effect.
    pub fn push_all<R: AsRef<[u8]>>(
        &mut self,
        records: impl IntoIterator<Item = (R, i64)>,
    ) -> Result<(), Fault> {
        let inputs: Vec<Input> = records
            .into_iter()
            .map(|(record, time)| Input::without_key(&record, Some(time)))
            .collect();
        self.run(0, &inputs)
    }
}

impl<M> Harness<M> {
    pub(super) fn new(builder: Builder<M>, declaration: Declaration, instance: Instance) -> Self {
        Self {
            builder,
            instance,
            store: Store::new(declaration.states.iter().map(|state| state.kind)),
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
    fn run(&mut self, input: u32, inputs: &[Input]) -> Result<(), Fault> {
        let batch = pack::batch(input, inputs, &self.store, self.watermark, self.processing_time);
        let keys: Vec<Vec<u8>> = pack::strings(&batch.keys).map(<[u8]>::to_vec).collect();
        let key_of = batch.key_of.clone();
        let extent = Extent { causes: inputs.len(), keys: keys.len() };
        let effects = self.instance.process(batch);
        let effects = self.check(effects, extent)?;
        self.apply(effects, &keys, |cause| key_of[cause] as usize);
        // A timer that was registered for a time already past is due at once.
        self.fire_due(TimeDomain::EventTime, self.watermark, self.watermark)
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
            let batch = pack::timers(domain, &due, &self.store, watermark, self.processing_time);
            let extent = Extent { causes: due.len(), keys: due.len() };
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
        let timers = effects.timers;
        for ((timestamp, operation), origin) in
            timers.timestamps.iter().zip(timers.operations).zip(timers.origins)
        {
            let key = &keys[key_of(origin as usize)];
            self.store.change_timer(*timestamp, operation, key);
        }
    }
}
