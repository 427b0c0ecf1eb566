//! Tidegate.
pub mod error;
pub mod model;
pub mod operator;
pub mod state;
pub mod wasm;
