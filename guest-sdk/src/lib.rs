//! Write Tidegate functions in Rust: typed state, timers, codecs and a test harness.
//!
//! What follows is `docs/functions.md` of the repository. Links go to where its other pages are
//! included.
//!
//! [value state]: state::ValueState
//! [list state]: state::ListState
//! [map state]: state::MapState
//! [reducing state]: state::ReducingState
//! [aggregating state]: state::AggregatingState
//! [time to live]: state::Ttl
//! [migrations]: state::StateBuilder::migrate
//! [operator list state]: state::OperatorListState
//! [raw operator state]: state::RawOperatorState
//! [broadcast state]: state::BroadcastState
//! [timers]: context::Timer
//! [windows]: window
//! [`ProcessFunction`]: ProcessFunction
//! [`RichFilterFunction`]: RichFilterFunction
//! [`RichMapFunction`]: RichMapFunction
//! [`RichFlatMapFunction`]: RichFlatMapFunction
//! [`FlatMapWithStateFunction`]: FlatMapWithStateFunction
//! [`ReduceFunction`]: ReduceFunction
//! [`RollingAggregateFunction`]: RollingAggregateFunction
//! [`WindowFunction`]: WindowFunction
//! [`KeyedProcessFunction`]: KeyedProcessFunction
//! [`KeyedCoProcessFunction`]: KeyedCoProcessFunction
//! [`BroadcastProcessFunction`]: BroadcastProcessFunction
//! [`KeyedBroadcastProcessFunction`]: KeyedBroadcastProcessFunction
//! [`SinkFunction`]: SinkFunction
//! [`SourceFunction`]: SourceFunction
//!
#![doc = include_str!("../../docs/functions.md")]

#[cfg(any(test, target_family = "wasm"))]
mod allocator;
#[doc(hidden)]
pub mod bindings;
mod bytes;
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

/// What a function allocates with.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: allocator::Allocator = allocator::Allocator::new();

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
