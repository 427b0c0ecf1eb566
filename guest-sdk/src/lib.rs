//! tmp

pub mod bindings;
pub mod codec;
pub mod context;
mod error;
mod export;
mod function;
pub mod log;
mod param;
pub mod runtime;
mod setup;
pub mod state;
#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use error::{Error, Result};
pub use function::{KeyedProcessFunction, ProcessFunction, RichFlatMapFunction, RichMapFunction};
pub use param::Param;
pub use setup::Setup;

/// What a file that defines a function uses.
pub mod prelude {
    pub use std::time::Duration;

    pub use crate::bail;
    pub use crate::codec::{Csv, Decode, Encode, Json};
    pub use crate::context::{
        FlatMapContext, KeyedContext, MapContext, ProcessContext, SideOutput, TimeDomain, Timer,
    };
    pub use crate::error::{Error, Result};
    pub use crate::function::{
        KeyedProcessFunction, ProcessFunction, RichFlatMapFunction, RichMapFunction,
    };
    pub use crate::log;
    pub use crate::setup::Setup;
    pub use crate::state::{
        AggregateFunction, AggregatingState, ListState, MapState, ReducingState, ValueState,
    };
}
