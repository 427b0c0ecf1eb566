//! A function outside of a component: for a program that calls it without a sandbox, as the
//! benchmark does to measure what the sandbox costs.

use super::instance::{self, Instance};
use super::operator::Adaptor;
use crate::bindings::exports::tidegate::function::function::OpenContext;
use crate::bindings::tidegate::function::types::{Fault, Packed};

/// The entries of a function, whatever its type. [`export!`](crate::export) makes one on targets
/// other than wasm.
#[derive(Clone, Copy)]
pub struct Native {
    /// Opens it.
    pub open: fn(OpenContext) -> Result<Instance, Fault>,
    /// The key of each record, where it finds keys.
    pub extract_keys: fn(&Packed) -> Result<Packed, Fault>,
}

impl Native {
    /// Those of the function of an adaptor.
    pub fn of<A: Adaptor>() -> Self {
        Self { open: Instance::open::<A>, extract_keys: instance::extract_keys::<A> }
    }
}
