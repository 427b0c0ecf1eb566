//! A function that is compiled into the program instead of run in the sandbox, for programs that
//! embed the host: the benchmark measures by it what the sandbox costs.
//!
//! It is trusted: it has no limits of memory and time, and its effects are not checked. Nothing in
//! a job file leads to it.

use std::fmt;
use std::sync::Arc;

use super::{Call, Effects, OpenContext};
use crate::model::{Fault, Packed};

/// An opened function that is called in place of a component's instance.
pub trait NativeFunction: Send {
    /// Makes one call, as of an instance. State that is held back and operator state are not for
    /// it.
    ///
    /// # Errors
    /// A fault; then nothing that the call did counts.
    fn call(&mut self, call: &Call<'_>) -> Result<Effects, Fault>;

    /// The key of each record.
    ///
    /// # Errors
    /// A fault.
    fn extract_keys(&mut self, values: &Packed) -> Result<Packed, Fault>;
}

/// Opens a function for each partition that calls it.
#[derive(Clone)]
pub struct NativeOpener(Arc<Open>);

type Open = dyn Fn(&OpenContext) -> Result<Box<dyn NativeFunction>, Fault> + Send + Sync;

impl NativeOpener {
    /// Opens functions by calling `open`.
    pub fn new<F>(open: F) -> Self
    where
        F: Fn(&OpenContext) -> Result<Box<dyn NativeFunction>, Fault> + Send + Sync + 'static,
    {
        Self(Arc::new(open))
    }

    pub(super) fn open(&self, context: &OpenContext) -> Result<Box<dyn NativeFunction>, Fault> {
        (self.0)(context)
    }
}

impl fmt::Debug for NativeOpener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NativeOpener")
    }
}
