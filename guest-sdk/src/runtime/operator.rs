//! What every kind of function is to the runtime.

use std::cell::RefCell;

use crate::bindings::tidegate::function::declarations::{Kind, StateDeclaration};
use crate::bindings::tidegate::function::types::{
    Batch, Effects, Fault, FaultKind, PollRequest, Polled, TimerBatch,
};
use crate::codec::Format;
use crate::context::{InitializationContext, SnapshotContext};
use crate::error::{Error, Result};
use crate::setup::Setup;
use crate::state::OperatorCells;

/// What the calls need of the declaration, and what lasts between them.
pub struct Shape {
    pub(crate) states: Vec<StateDeclaration>,
    pub(crate) outputs: usize,
    pub(crate) operator_state_names: Vec<String>,
    /// In a cell, since contexts that only read share it.
    pub(crate) operator_states: RefCell<OperatorCells>,
}

impl Shape {
    pub(crate) fn new(setup: Setup) -> Self {
        let operator_states = RefCell::new(OperatorCells::new(&setup.operator_states));
        let names = setup.operator_states.into_iter().map(|state| state.name).collect();
        Self {
            states: setup.states,
            outputs: setup.outputs.len(),
            operator_state_names: names,
            operator_states,
        }
    }
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

    /// Asks for records. The host does not call it on what is no source.
    ///
    /// # Errors
    /// If the function fails.
    fn poll(&mut self, shape: &Shape, poll: PollRequest) -> Result<Polled, Fault> {
        let _ = (shape, poll);
        Err(fault(FaultKind::Failed, None, Error::msg("this kind of function is no source")))
    }

    /// Fills what the function keeps by itself from operator state.
    ///
    /// # Errors
    /// If the function fails.
    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
    }

    /// Brings what the function keeps by itself into operator state.
    ///
    /// # Errors
    /// If the function fails.
    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        let _ = ctx;
        Ok(())
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

    /// Whether it has a broadcast input, and so may have broadcast state.
    const HAS_BROADCAST: bool = false;

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
