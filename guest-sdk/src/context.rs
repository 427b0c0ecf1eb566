//! What a function sees beside a record: its key, the time, and where output, state and timers go.
//!
//! There is one [`Context`] with a type parameter for what it can do, so that a function which has
//! no key has no methods that need one. Functions name it by the aliases below.

use std::convert::Infallible;
use std::fmt::{self, Arguments, Write as _};
use std::marker::PhantomData;

use serde::Serialize;

use crate::bytes;
use crate::codec::{Encode, Text};
use crate::error::{Error, Result, quote};
use crate::runtime::Call;
use crate::state::{Cells, ListCells, MapCells, ValueCells};

/// The context of a [`ProcessFunction`](crate::ProcessFunction): no key.
pub type ProcessContext<'a, Out> = Context<'a, Out, Unkeyed>;

/// The context of a [`RichFlatMapFunction`](crate::RichFlatMapFunction): key and state.
pub type FlatMapContext<'a, Out> = Context<'a, Out, Keyed>;

/// The context of a [`RichMapFunction`](crate::RichMapFunction): key and state. It collects
/// nothing, since what the function returns is the output.
pub type MapContext<'a> = Context<'a, Infallible, Keyed>;

/// The context of a [`KeyedProcessFunction`](crate::KeyedProcessFunction): key, state and timers.
pub type KeyedContext<'a, Out> = Context<'a, Out, Timed>;

/// The context of [`BroadcastProcessFunction::process_broadcast_element`] and its keyed like: no
/// key, but it may write broadcast state.
///
/// [`BroadcastProcessFunction::process_broadcast_element`]:
/// crate::BroadcastProcessFunction::process_broadcast_element
pub type BroadcastContext<'a, Out> = Context<'a, Out, Broadcasting>;

/// The context of a [`SinkFunction`](crate::SinkFunction): no key.
pub type SinkContext<'a, Out> = Context<'a, Out, Unkeyed>;

/// The context of a [`SourceFunction`](crate::SourceFunction): no record to speak of.
pub type SourceContext<'a, Out> = Context<'a, Out, Polled>;

/// The context of `snapshot_state`: operator state, and nothing to collect.
pub type SnapshotContext<'a> = Context<'a, Infallible, Unkeyed>;

/// The context of `initialize_state`: operator state, and nothing to collect.
pub type InitializationContext<'a> = Context<'a, Infallible, Initializing>;

/// Marks the context of a record of a broadcast input.
pub enum Broadcasting {}

/// Marks the context of a source.
pub enum Polled {}

/// Marks the context in which a function begins.
pub enum Initializing {}
/// The context of a [`WindowFunction`](crate::WindowFunction): key and state. Its timers are those
/// of the windows.
pub type WindowContext<'a, Out> = Context<'a, Out, Windowed>;

/// Marks a context without a key.
pub enum Unkeyed {}

/// Marks a context with a key and state.
pub enum Keyed {}

/// Marks a context with a key, state and timers.
pub enum Timed {}

/// Marks a context with a key and state, at a window.
pub enum Windowed {}

/// A context with a key and therefore with keyed state.
#[diagnostic::on_unimplemented(
    message = "this function has no key, and so no keyed state",
    note = "write a `KeyedProcessFunction` instead"
)]
pub trait HasKey: sealed::Sealed {}

impl HasKey for Keyed {}
impl HasKey for Timed {}
impl HasKey for Windowed {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Keyed {}
    impl Sealed for super::Timed {}
    impl Sealed for super::Windowed {}
}

/// What a function sees beside the record (or timer) that it processes.
///
/// `Out` is what it collects, `Can` what it can do; see the aliases such as [`KeyedContext`].
pub struct Context<'a, Out, Can> {
    call: Call<'a>,
    _types: PhantomData<fn(Out) -> Can>,
}

/// A timer that fires.
#[doc = include_str!("../../docs/timers.md")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// The time for which it was registered, in milliseconds.
    pub timestamp: i64,
    /// The clock by which it fires.
    pub domain: TimeDomain,
}

/// The clocks by which timers fire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeDomain {
    /// Fires when the watermark passes.
    EventTime,
    /// Fires when the host's clock passes.
    ProcessingTime,
}

/// A further output beside the main one. Made by [`Setup::side_output`](crate::Setup::side_output).
pub struct SideOutput<T> {
    output: usize,
    _type: PhantomData<fn(T)>,
}

impl<T> SideOutput<T> {
    pub(crate) fn new(output: usize) -> Self {
        Self { output, _type: PhantomData }
    }
}

impl<'a, Out, Can> Context<'a, Out, Can> {
    pub(crate) fn new(call: Call<'a>) -> Self {
        Self { call, _types: PhantomData }
    }

    /// Sends a record to the main output. It gets the event time of the record or event-time timer
    /// at hand; what a processing-time timer sends has none.
    ///
    /// If it cannot be encoded the record at hand fails once the function returns.
    #[inline]
    pub fn collect(&mut self, value: Out)
    where
        Out: Encode,
    {
        self.call.emit(0, |out| value.encode(out));
    }

    /// Sends a record to the main output that has another type than `Out` and is written as one,
    /// such as a record that borrows:
    ///
    /// ```
    /// # use tidegate_sdk::prelude::*;
    /// # use tidegate_sdk::testing::Harness;
    /// struct Lengths;
    ///
    /// impl ProcessFunction for Lengths {
    ///     type In<'a> = &'a str;
    ///     type Out = Csv<(String, usize)>;
    ///
    ///     fn open(_setup: &mut Setup) -> Result<Self> {
    ///         Ok(Self)
    ///     }
    ///
    ///     fn process_element(
    ///         &mut self,
    ///         text: &str,
    ///         ctx: &mut ProcessContext<'_, Self::Out>,
    ///     ) -> Result<()> {
    ///         ctx.collect_as(Csv((text, text.len())));
    ///         Ok(())
    ///     }
    /// }
    ///
    /// let mut lengths = Harness::process::<Lengths>().open()?;
    /// lengths.push("tide", 0)?;
    /// assert_eq!(lengths.finish()?, ["tide,4"]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// A type of another format does not compile:
    ///
    /// ```compile_fail
    /// # use tidegate_sdk::prelude::*;
    /// fn send(ctx: &mut ProcessContext<'_, Csv<(String, usize)>>) {
    ///     ctx.collect_as("tide,4");
    /// }
    /// # fn main() {
    /// #     let _: fn(&mut ProcessContext<'_, Csv<(String, usize)>>) = send;
    /// # }
    /// ```
    ///
    /// If it cannot be encoded the record at hand fails once the function returns.
    #[inline]
    pub fn collect_as<T: Encode>(&mut self, value: T)
    where
        Out: Encode,
    {
        const { assert!(T::FORMAT as u8 == Out::FORMAT as u8, "`Out` has another format") };
        self.call.emit(0, |out| value.encode(out));
    }

    /// Sends text to the main output without making a `String` of it:
    /// `ctx.collect_fmt(format_args!("{user},{count}"))`.
    #[inline]
    pub fn collect_fmt(&mut self, text: Arguments<'_>)
    where
        Out: Text,
    {
        self.call.emit(0, |out| Ok(Utf8(out).write_fmt(text)?));
    }

    /// Sends a record to a side output, with the event time as [`collect`](Self::collect) gives it.
    ///
    /// If it cannot be encoded the record at hand fails once the function returns.
    #[inline]
    pub fn output<T: Encode>(&mut self, output: &SideOutput<T>, value: T) {
        self.call.emit(output.output, |out| value.encode(out));
    }

    /// The event time of the record at hand in milliseconds, or the time of the timer.
    ///
    /// # Errors
    /// If the record has no event time.
    #[inline]
    pub fn timestamp(&self) -> Result<i64> {
        self.call.position.timestamp.ok_or_else(no_timestamp)
    }

    /// The watermark in milliseconds that was in force when the record arrived, or that made the
    /// timer due. `i64::MIN` says that there is none yet, `i64::MAX` that the input has ended.
    #[inline]
    pub fn current_watermark(&self) -> i64 {
        self.call.position.watermark
    }

    /// The host's clock in milliseconds, the same for a whole batch.
    #[inline]
    pub fn processing_time(&self) -> i64 {
        self.call.processing_time
    }

    /// The clock of the timer at hand, None at a record.
    #[inline]
    pub(crate) fn timer_domain(&self) -> Option<TimeDomain> {
        self.call.timer_domain
    }

    /// The call, to move it to the next record.
    #[inline]
    pub(crate) fn call_mut(&mut self) -> &mut Call<'a> {
        &mut self.call
    }

    /// The call, to end it.
    pub(crate) fn into_call(self) -> Call<'a> {
        self.call
    }
}

/// Formats into bytes. `std::io::Write` would do the same by way of its errors, which takes longer.
struct Utf8<'o>(&'o mut Vec<u8>);

impl fmt::Write for Utf8<'_> {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        bytes::append(self.0, text.as_bytes());
        Ok(())
    }
}

#[cold]
fn no_timestamp() -> Error {
    Error::msg(
        "the record has no event time: its source assigns none; set `timestamp` in the job file",
    )
}

impl<'a, Out, Can: HasKey> Context<'a, Out, Can> {
    /// The key of the record or timer at hand.
    #[inline]
    pub fn key(&self) -> &'a [u8] {
        self.call.position.key_bytes
    }

    /// The key as text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    #[inline]
    pub fn key_str(&self) -> Result<&'a str> {
        let key = self.key();
        bytes::text(key)
            .map_err(|_| Error::msg(format_args!("the key {} is not UTF-8 text", quote(key))))
    }

    /// Says in which state of which key the problem is.
    #[cold]
    pub(crate) fn blame_state(&self, state: u32, error: Error) -> Error {
        let name = &self.call.shape.states[state as usize].name;
        error.context(format_args!("state `{name}` of key {}", quote(self.key())))
    }
}

impl<Out> Context<'_, Out, Polled> {
    /// The most records that may be collected before the function returns, at least 1.
    pub fn records_max(&self) -> usize {
        self.call.records_max
    }
}

impl Context<'_, Infallible, Initializing> {
    /// Whether operator state holds what calls before have left: those of a run that this one goes
    /// on from, or those of an instance that this one takes the place of.
    pub fn is_restored(&self) -> bool {
        self.call.is_restored
    }
}

/// Operator state is the partition's and so in reach of every context.
impl<Out, Can> Context<'_, Out, Can> {
    #[inline]
    pub(crate) fn with_operator_list<T>(
        &self,
        state: u32,
        access: impl FnOnce(&mut ListCells) -> T,
    ) -> T {
        match &mut self.call.shape.operator_states.borrow_mut().cells[state as usize] {
            Cells::List(cells) => access(cells),
            _ => unreachable!("a state handle of another function"),
        }
    }

    #[inline]
    pub(crate) fn with_operator_map<T>(
        &self,
        state: u32,
        access: impl FnOnce(&mut MapCells) -> T,
    ) -> T {
        match &mut self.call.shape.operator_states.borrow_mut().cells[state as usize] {
            Cells::Map(cells) => access(cells),
            _ => unreachable!("a state handle of another function"),
        }
    }

    /// Says in which operator state the problem is.
    #[cold]
    pub(crate) fn blame_operator_state(&self, state: u32, error: Error) -> Error {
        let name = &self.call.shape.operator_state_names[state as usize];
        error.context(format_args!("operator state `{name}`"))
    }

    /// Calls `read` with the encoding of a map's key.
    #[inline]
    pub(crate) fn with_map_key<K: Serialize, T>(
        &self,
        map_key: &K,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T> {
        let mut bytes = self.call.scratch.take();
        bytes.clear();
        let result = crate::state::encode(map_key, &mut bytes).map(|()| read(&bytes));
        self.call.scratch.set(bytes);
        result
    }
}

/// The cells of a state, and which of them is the key's. Reading may note that it was done. A
/// handle's index always names a state of its own kind, since only `Setup` makes handles.
macro_rules! cells {
    ($($with:ident $get_mut:ident $variant:ident $type:ty),*) => {
        impl<Out, Can: HasKey> Context<'_, Out, Can> {$(
            #[inline]
            pub(crate) fn $with<T>(
                &self,
                state: u32,
                read: impl FnOnce(&mut $type, usize) -> T,
            ) -> T {
                match &mut self.call.states.borrow_mut()[state as usize] {
                    Cells::$variant(cells) => read(cells, self.call.position.key),
                    _ => unreachable!("a state handle of another function"),
                }
            }

            #[inline]
            pub(crate) fn $get_mut(&mut self, state: u32) -> (&mut $type, usize) {
                match &mut self.call.states.get_mut()[state as usize] {
                    Cells::$variant(cells) => (cells, self.call.position.key),
                    _ => unreachable!("a state handle of another function"),
                }
            }
        )*}
    };
}
cells! {
    with_value_cells value_cells_mut Value ValueCells,
    with_list_cells list_cells_mut List ListCells,
    with_map_cells map_cells_mut Map MapCells
}

/// Timers belong to the key at hand. A key has at most one timer for a clock and time: registering
/// it again changes nothing, and deleting one that is not there changes nothing.
impl<Out> Context<'_, Out, Timed> {
    /// Registers a timer that fires when the watermark reaches `timestamp`, in milliseconds.
    #[inline]
    pub fn register_event_time_timer(&mut self, timestamp: i64) {
        self.call.change_timer(timestamp, Call::REGISTER_EVENT_TIME);
    }

    /// Deletes the event-time timer for `timestamp`.
    #[inline]
    pub fn delete_event_time_timer(&mut self, timestamp: i64) {
        self.call.change_timer(timestamp, Call::DELETE_EVENT_TIME);
    }

    /// Registers a timer that fires when the host's clock reaches `timestamp`, in milliseconds.
    #[inline]
    pub fn register_processing_time_timer(&mut self, timestamp: i64) {
        self.call.change_timer(timestamp, Call::REGISTER_PROCESSING_TIME);
    }

    /// Deletes the processing-time timer for `timestamp`.
    #[inline]
    pub fn delete_processing_time_timer(&mut self, timestamp: i64) {
        self.call.change_timer(timestamp, Call::DELETE_PROCESSING_TIME);
    }
}
