//! tmp
pub mod bindings;
