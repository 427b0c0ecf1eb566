//! Tidegate runs user functions, compiled to WebAssembly components, as the operators of stateful
//! streams.
//!
//! The host owns partitioning, event time, state and, later, checkpoints and recovery; the user's
//! logic runs sandboxed and reaches the host through the contract in `wit/`.
//!
//! # Layers
//!
//! Without the feature `engine` this crate is the embedding alone: `model`, `state`, `wasm` and
//! `operator`, for use inside another engine's workers. With it come the dataflow (`flow`), jobs
//! (`job`) and the command line (`cli`). ARCHITECTURE.md draws the picture; a test keeps the
//! arrows.

#[cfg(feature = "engine")]
pub mod checkpoint;
#[cfg(feature = "engine")]
pub mod cli;
pub mod env;
pub mod error;
#[cfg(feature = "engine")]
pub mod flow;
#[cfg(feature = "engine")]
pub mod job;
pub mod model;
pub mod operator;
pub mod state;
pub mod wasm;
