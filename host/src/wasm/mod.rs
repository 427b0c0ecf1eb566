//! The embedding: components in, one call a batch, checked effects out.
//!
//! Usable without the dataflow, the job file and the command line; see `examples/embed.rs`.
//! Untrusted code is entered through `instance` and nowhere else.

mod bindings;
mod cache;
pub mod compatibility;
mod component;
mod effects;
mod engine;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod guest_state;
mod instance;
mod migrations;
mod named_effects;
mod native;
mod ttl;

pub use cache::Cache;
pub use component::{CONTRACT_VERSION, Component};
pub use effects::{
    Effects, NextPoll, OperatorStateChanges, OutputColumn, StateChanges, TimerChange,
    TimerOperation,
};
pub use engine::Engine;
pub use guest_state::{LogLevel, LogSink};
pub use instance::{Call, CallInput, Instance, OpenContext, StateColumn};
pub use migrations::{Migrated, Migration};
pub use named_effects::{NamedChange, NamedChanges, NamedEffects, NamedRecord, NamedTimer};
pub use native::{NativeFunction, NativeOpener};
