//! A function with keys that finds the keys by itself.

use std::marker::PhantomData;

use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault, TimerBatch};
use crate::codec::{Decode, Format};
use crate::context::{InitializationContext, SnapshotContext};
use crate::error::Result;
use crate::function::KeySelector;
use crate::setup::Setup;

/// The adaptor `A` with the keys that `S` selects.
pub struct KeyedBy<A, S>(A, PhantomData<S>);

impl<A: Operator, S> Operator for KeyedBy<A, S> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        self.0.process(shape, batch)
    }

    fn fire(&mut self, shape: &Shape, timers: TimerBatch) -> Result<Effects, Fault> {
        self.0.fire(shape, timers)
    }

    fn initialize_state(&mut self, ctx: &mut InitializationContext<'_>) -> Result<()> {
        self.0.initialize_state(ctx)
    }

    fn snapshot_state(&mut self, ctx: &mut SnapshotContext<'_>) -> Result<()> {
        self.0.snapshot_state(ctx)
    }

    fn close(&mut self) {
        self.0.close();
    }
}

impl<A: Adaptor, S: KeySelector> Adaptor for KeyedBy<A, S> {
    const KIND: Kind = A::KIND;
    const HAS_STATE: bool = A::HAS_STATE;
    const HAS_TIMERS: bool = A::HAS_TIMERS;
    const HAS_BROADCAST: bool = A::HAS_BROADCAST;
    const MAIN_OUTPUT: Option<Format> = A::MAIN_OUTPUT;
    const EXTRACTS_KEYS: bool = true;

    fn inputs() -> Vec<(&'static str, String)> {
        A::inputs()
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        A::open(setup).map(|adaptor| Self(adaptor, PhantomData))
    }

    fn extract_key(record: &[u8]) -> Result<Vec<u8>> {
        S::key(S::In::decode(record)?)
    }
}
