//! The kinds of functions, by Flink's names.
//!
//! A function is made by `open` and lives as long as the partition, or until a call fails. What it
//! keeps in its fields are parameters and handles: results must depend on state alone, since the
//! host may at any time go on with a fresh instance. A function that would rather keep things in
//! fields declares operator state, and moves them with `snapshot_state` and `initialize_state`.

mod broadcast;
mod ends;
mod keyed;
mod process;
mod rich;
mod rolling;

pub use broadcast::{BroadcastProcessFunction, KeyedBroadcastProcessFunction};
pub use ends::{NextPoll, SinkFunction, SourceFunction};
pub use keyed::{KeySelector, KeyedCoProcessFunction, KeyedProcessFunction};
pub use process::ProcessFunction;
pub use rich::{
    FlatMapWithStateFunction, Mapped, RichFilterFunction, RichFlatMapFunction, RichMapFunction,
};
pub use rolling::{ReduceFunction, RollingAggregateFunction};
