//! What every kind of function is to the runtime.

use crate::bindings::tidegate::function::declarations::{Kind, StateDeclaration};
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault, FaultKind, TimerBatch};
use crate::codec::Format;
use crate::error::{Error, Result};
use crate::setup::Setup;

/// What the calls need of the declaration.
pub struct Shape {
    pub(crate) states: Vec<StateDeclaration>,
    pub(crate) outputs: usize,
}

/// An opened function.
pub trait Operator {
    /// Processes the records of a batch in order.
    ///
    /// # Errors
    /// The fault of the first record that failed.
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault>;

    /// Fires the timers of a batch in order. The host does not call it where no timers are
    /// declared.
    ///
    /// # Errors
    /// The fault of the first timer that failed.
    fn fire(&mut self, shape: &Shape, timers: TimerBatch) -> Result<Effects, Fault> {
        let _ = (shape, timers);
        Err(fault(FaultKind::Failed, None, Error::msg("this kind of function has no timers")))
    }

    /// The partition ends in good order.
    fn close(&mut self);
}

/// A kind of function: what it declares, and how one is made.
pub trait Adaptor: Operator + Sized + 'static {
    /// How the host feeds it.
    const KIND: Kind;

    /// Whether it may have keyed state.
    const HAS_STATE: bool;

    /// Whether it may register timers.
    const HAS_TIMERS: bool;

    /// The format of the main output, None for a function without one.
    const MAIN_OUTPUT: Option<Format>;

    /// Whether [`extract_key`](Self::extract_key) works.
    const EXTRACTS_KEYS: bool = false;

    /// The names of its inputs, and what their records are read into.
    fn inputs() -> Vec<(&'static str, String)>;

    /// Runs the function's `open`.
    ///
    /// # Errors
    /// What the function's `open` gives.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// The key of a record.
    ///
    /// # Errors
    /// If the record has none, or the function does not extract keys.
    fn extract_key(record: &[u8]) -> Result<Vec<u8>> {
        let _ = record;
        Err(Error::msg("this function does not extract keys"))
    }
}

/// An error as the contract wants it.
pub(crate) fn fault(kind: FaultKind, at: Option<u32>, error: Error) -> Fault {
    Fault { kind, at, message: error.into_message() }
}
