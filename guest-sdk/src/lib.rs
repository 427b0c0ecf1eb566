//! Write Tidegate functions in Rust: typed state, timers, codecs and a test harness.
//!
//! A *function* is the user's part of a stream: the host brings it records, its state and the time,
//! and takes away what it sends out. It is compiled to WebAssembly and can reach nothing else. The
//! words are Flink's; who knows its `KeyedProcessFunction` knows this one.
//!
//! # A complete function
//!
//! Counts the clicks of each user, and tells the count a while after the first:
//!
//! ```
//! use tidegate_sdk::prelude::*;
//!
//! struct PeriodicPv {
//!     period: Duration,
//!     count: ValueState<u64>,
//! }
//!
//! impl KeyedProcessFunction for PeriodicPv {
//!     type In<'a> = Csv<(&'a str, &'a str, i64)>;
//!     type Out = String;
//!
//!     fn open(setup: &mut Setup) -> Result<Self> {
//!         Ok(Self {
//!             period: setup.param("period", Duration::from_secs(10))?,
//!             count: setup.value_state("count"),
//!         })
//!     }
//!
//!     fn process_element(
//!         &mut self,
//!         Csv((_user, _url, at)): Self::In<'_>,
//!         ctx: &mut KeyedContext<'_, String>,
//!     ) -> Result<()> {
//!         let before = self.count.value(ctx)?;
//!         if before.is_none() {
//!             ctx.register_event_time_timer(at + self.period.as_millis() as i64);
//!         }
//!         self.count.update(ctx, &(before.unwrap_or(0) + 1))
//!     }
//!
//!     fn on_timer(&mut self, _timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
//!         let count = self.count.value(ctx)?.unwrap_or(0);
//!         ctx.collect(format!("{} pv: {count}", ctx.key_str()?));
//!         self.count.clear(ctx);
//!         Ok(())
//!     }
//! }
//!
//! tidegate_sdk::export!(keyed_process: PeriodicPv);
//!
//! # fn main() -> Result<()> {
//! // In a test, see `testing`:
//! use tidegate_sdk::testing::Harness;
//!
//! let mut pv = Harness::keyed_process::<PeriodicPv>().param("period", "5s").open()?;
//! pv.push("alice", "alice,/home,1000", 1_000)?;
//! pv.push("alice", "alice,/cart,2000", 2_000)?;
//! pv.advance_watermark(6_000)?;
//! assert_eq!(pv.take_output(), ["alice pv: 2"]);
//! # Ok(())
//! # }
//! ```
//!
//! Its crate depends on `tidegate-sdk` alone (and on `serde` if it derives), and says
//!
//! ```toml
//! [lib]
//! crate-type = ["cdylib", "rlib"]
//! ```
//!
//! `tidegate build` compiles it, `tidegate inspect` shows what it declares, a job file says where
//! its records come from and which field is the key.
//!
//! # Kinds of functions
//!
//! | trait | `export!` | has |
//! |---|---|---|
//! | [`KeyedProcessFunction`] | `keyed_process` | key, state, timers |
//! | [`KeyedCoProcessFunction`] | `keyed_co_process` | two inputs; key, state, timers |
//! | [`WindowFunction`] | `window` | key, [windows](window) with an accumulator each, state |
//! | [`RichFlatMapFunction`] | `rich_flat_map` | key, state |
//! | [`RichMapFunction`] | `rich_map` | key, state; one record for each |
//! | [`RichFilterFunction`] | `rich_filter` | key, state; the record or nothing |
//! | [`FlatMapWithStateFunction`] | `flat_map_with_state` | key, one state, as a plain function |
//! | [`ReduceFunction`] | `reduce` | key; one value of two, told with each record |
//! | [`RollingAggregateFunction`] | `aggregate` | key; an accumulator, told with each record |
//! | [`ProcessFunction`] | `process` | no key |
//! | [`BroadcastProcessFunction`] | `broadcast_process` | a broadcast input; no key |
//! | [`KeyedBroadcastProcessFunction`] | `keyed_broadcast_process` | the same; key, state, timers |
//! | [`SinkFunction`] | `sink` | no key; at the end of a job |
//! | [`SourceFunction`] | `source` | no input; is asked for records |
//!
//! Each may have operator state, which is the partition's: lists, and with a broadcast input maps.
//!
//! # Records
//!
//! `In` is what a record is read into. It may borrow from the batch: `Csv<(&'a str, i64)>` copies
//! nothing. [`Csv`](codec::Csv) and [`Json`](codec::Json) read and write every serde type that fits
//! the format; `&str`, `String`, `&[u8]` and `Vec<u8>` take records as they are. A record that
//! cannot be read is a *malformed* record, and the job file says what becomes of it.
//!
//! # State
//!
//! `open` declares states and gets a handle of each. A handle reads and writes the state of the key
//! of the record at hand, which is why every method takes the context:
//!
//! ```
//! use tidegate_sdk::prelude::*;
//!
//! struct Tour {
//!     last: ValueState<f64>,
//!     seen: ListState<String>,
//!     prices: MapState<String, f64>,
//!     total: ReducingState<f64>,
//!     late: SideOutput<String>,
//! }
//!
//! impl RichFlatMapFunction for Tour {
//!     type In<'a> = Csv<(String, f64)>;
//!     type Out = Csv<(String, f64)>;
//!
//!     fn open(setup: &mut Setup) -> Result<Self> {
//!         Ok(Self {
//!             last: setup.value_state("last"),
//!             seen: setup.list_state("seen"),
//!             // The long form, for a state whose type has changed once.
//!             prices: setup.state("prices").schema_version(2).map(),
//!             total: setup.reducing_state("total", |a: f64, b| a + b),
//!             late: setup.side_output("late"),
//!         })
//!     }
//!
//!     fn flat_map(
//!         &mut self,
//!         Csv((product, price)): Self::In<'_>,
//!         ctx: &mut FlatMapContext<'_, Self::Out>,
//!     ) -> Result<()> {
//!         if ctx.timestamp()? < ctx.current_watermark() {
//!             ctx.output(&self.late, product);
//!             return Ok(());
//!         }
//!         if price < 0.0 {
//!             bail!("the price of {product} is {price}");
//!         }
//!         self.last.update(ctx, &price)?;
//!         self.seen.add(ctx, &product)?;
//!         self.prices.put(ctx, &product, &price)?;
//!         self.total.add(ctx, price)?;
//!         let total = self.total.get(ctx)?.unwrap_or(0.0);
//!         ctx.collect(Csv((product, total)));
//!         Ok(())
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! # use tidegate_sdk::testing::Harness;
//! let mut tour = Harness::rich_flat_map::<Tour>().open()?;
//! tour.push("shop", "apple,1.5", 0)?;
//! tour.push("shop", "pear,2", 0)?;
//! assert_eq!(tour.take_output(), ["apple,1.5", "pear,3.5"]);
//! assert_eq!(tour.list_state::<String>("seen", "shop")?, ["apple", "pear"]);
//! assert_eq!(tour.push("shop", "plum,-1", 0).unwrap_err().message, "the price of plum is -1");
//! # Ok(())
//! # }
//! ```
//!
//! The fifth kind is [`AggregatingState`](state::AggregatingState). Values are kept in postcard's
//! encoding: a changed type cannot read what the old one wrote, so raise the schema version with
//! it.
//!
//! # Time
//!
//! Times are milliseconds since 1970 as `i64`. Event-time timers fire when the watermark passes,
//! which is after all records before it have been processed; processing-time timers when the host's
//! clock does. A timer belongs to a key, fires once, and can be registered again.
//!
//! # Parameters
//!
//! [`Setup::param`] gives what the job file says under `[operator.params]`, or the default. `open`
//! also runs once on the defaults of all parameters, to learn what the function declares, so it
//! must succeed on them and declare the same states and outputs whatever the parameters are.
//!
//! # Errors
//!
//! Everything returns [`Result`]; `?` converts each standard error, [`bail!`] makes one of a text.
//! A function that returns an error *fails* at that record. Nothing of the call is applied, and the
//! job's policy decides: stop, or go on without the record. A panic ends the same way, with its
//! message in the log.
//!
//! # Rules
//!
//! - Results depend on the record, its state and its time alone. Fields of the function are for
//!   parameters and handles: the host may go on with a fresh instance after any call, or call again
//!   with the same records.
//! - There is no clock, no randomness, no file and no network. [`log`] writes to the job's log.
//! - A record of a text output is one line.
//!
//! # Limits
//!
//! A call has at most 2^32 - 1 bytes of records, of state and of each output, as all memory of a
//! function; the host's limits for memory, time and output of a call are lower and stand in the job
//! file. The state of a key is brought whole with each call that has the key. Lists and maps longer
//! than 64 KiB are not: reading them one by one, in part or by keys takes what is read from the
//! host, and what a call changes is all that must fit the function's memory.

#[doc(hidden)]
pub mod bindings;
pub mod codec;
pub mod context;
mod error;
mod export;
mod function;
pub mod log;
mod param;
#[doc(hidden)]
pub mod runtime;
mod setup;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
pub mod window;

pub use error::{Error, Result};
pub use function::{
    BroadcastProcessFunction, FlatMapWithStateFunction, KeyedBroadcastProcessFunction,
    KeyedCoProcessFunction, KeyedProcessFunction, Mapped, ProcessFunction, ReduceFunction,
    RichFilterFunction, RichFlatMapFunction, RichMapFunction, RollingAggregateFunction,
    SinkFunction, SourceFunction,
};
pub use param::Param;
pub use setup::Setup;
pub use window::WindowFunction;

/// What a file that defines a function uses.
pub mod prelude {
    pub use std::time::Duration;

    pub use crate::bail;
    pub use crate::codec::{Csv, Decode, Encode, Json};
    pub use crate::context::{
        BroadcastContext, FlatMapContext, InitializationContext, KeyedContext, MapContext,
        ProcessContext, SideOutput, SinkContext, SnapshotContext, SourceContext, TimeDomain, Timer,
        WindowContext,
    };
    pub use crate::error::{Error, Result};
    pub use crate::function::{
        BroadcastProcessFunction, FlatMapWithStateFunction, KeySelector,
        KeyedBroadcastProcessFunction, KeyedCoProcessFunction, KeyedProcessFunction, NextPoll,
        ProcessFunction, ReduceFunction, RichFilterFunction, RichFlatMapFunction, RichMapFunction,
        RollingAggregateFunction, SinkFunction, SourceFunction,
    };
    pub use crate::log;
    pub use crate::setup::Setup;
    pub use crate::state::{
        AggregateFunction, AggregatingState, BroadcastState, ListState, MapState,
        OperatorListState, RawOperatorState, ReducingState, Ttl, ValueState,
    };
    pub use crate::window::{TimeWindow, WindowFunction, Windows};
}
