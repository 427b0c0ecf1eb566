//! A harness of each kind of function: how it is made, and what can be pushed to it.

use super::builder::Builder;
use super::fault::Fault;
use super::harness::Harness;
use super::pack::Input;
use crate::function::{
    BroadcastProcessFunction, FlatMapWithStateFunction, KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction, KeyedProcessFunction, NextPoll, ProcessFunction, ReduceFunction,
    RichFilterFunction, RichFlatMapFunction, RichMapFunction, RollingAggregateFunction,
    SinkFunction, SourceFunction,
};
use crate::runtime::{
    BroadcastProcess, FlatMapWithState, KeyedBroadcastProcess, KeyedCoProcess, KeyedProcess,
    Process, Reduce, RichFilter, RichFlatMap, RichMap, RollingAggregate, Sink, Source, Window,
};
use crate::window::WindowFunction;

/// Marks a harness of a function whose records have keys.
pub enum WithKeys {}

/// Marks a harness of a function with two inputs whose records have keys.
pub enum WithTwoInputs {}

/// Marks a harness of a function whose records have no keys.
pub enum WithoutKeys {}

/// Marks a harness of a function with a data input without keys and a broadcast input.
pub enum WithBroadcast {}

/// Marks a harness of a function with a data input with keys and a broadcast input.
pub enum WithKeysAndBroadcast {}

/// Marks a harness of a function without an input.
pub enum WithoutInput {}

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

    /// Tests a [`RichFilterFunction`].
    pub fn rich_filter<F: RichFilterFunction>() -> Builder<WithKeys> {
        Builder::new::<RichFilter<F>>()
    }

    /// Tests a [`FlatMapWithStateFunction`].
    pub fn flat_map_with_state<F: FlatMapWithStateFunction>() -> Builder<WithKeys> {
        Builder::new::<FlatMapWithState<F>>()
    }

    /// Tests a [`ReduceFunction`].
    pub fn reduce<F: ReduceFunction>() -> Builder<WithKeys> {
        Builder::new::<Reduce<F>>()
    }

    /// Tests a [`RollingAggregateFunction`].
    pub fn aggregate<F: RollingAggregateFunction>() -> Builder<WithKeys> {
        Builder::new::<RollingAggregate<F>>()
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

    /// Tests a [`SinkFunction`].
    pub fn sink<F: SinkFunction>() -> Builder<WithoutKeys> {
        Builder::new::<Sink<F>>()
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

impl Harness<WithBroadcast> {
    /// Tests a [`BroadcastProcessFunction`].
    pub fn broadcast_process<F: BroadcastProcessFunction>() -> Builder<WithBroadcast> {
        Builder::new::<BroadcastProcess<F>>()
    }

    /// Processes one record of the data input with the given event time in milliseconds, in a call
    /// of its own.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push(&mut self, record: impl AsRef<[u8]>, event_time: i64) -> Result<(), Fault> {
        self.run(0, &[Input::without_key(&record, Some(event_time))])
    }

    /// Processes one record of the broadcast input, as [`push`](Self::push) does of the other.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push_broadcast(
        &mut self,
        record: impl AsRef<[u8]>,
        event_time: i64,
    ) -> Result<(), Fault> {
        self.run(1, &[Input::without_key(&record, Some(event_time))])
    }
}

impl Harness<WithKeysAndBroadcast> {
    /// Tests a [`KeyedBroadcastProcessFunction`].
    pub fn keyed_broadcast_process<F: KeyedBroadcastProcessFunction>()
    -> Builder<WithKeysAndBroadcast> {
        Builder::new::<KeyedBroadcastProcess<F>>()
    }

    /// Processes one record of the data input with the given key and event time in milliseconds, in
    /// a call of its own.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push(
        &mut self,
        key: impl AsRef<[u8]>,
        record: impl AsRef<[u8]>,
        event_time: i64,
    ) -> Result<(), Fault> {
        self.run(0, &[Input::new(&key, &record, Some(event_time))])
    }

    /// Processes one record of the broadcast input, which has no key.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn push_broadcast(
        &mut self,
        record: impl AsRef<[u8]>,
        event_time: i64,
    ) -> Result<(), Fault> {
        self.run(1, &[Input::without_key(&record, Some(event_time))])
    }
}

impl Harness<WithoutInput> {
    /// Tests a [`SourceFunction`].
    pub fn source<F: SourceFunction>() -> Builder<WithoutInput> {
        Builder::new::<Source<F>>()
    }

    /// Asks for at most `records_max` records.
    ///
    /// # Errors
    /// The fault of the call.
    pub fn poll(&mut self, records_max: u32) -> Result<NextPoll, Fault> {
        self.ask(records_max)
    }
}
