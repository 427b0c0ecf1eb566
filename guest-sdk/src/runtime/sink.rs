//! The adaptor of [`SinkFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault};
use crate::codec::{Encode, Format};
use crate::context::{InitializationContext, SnapshotContext};
use crate::error::Result;
use crate::function::SinkFunction;
use crate::setup::Setup;
use crate::state::short_type_name;

/// A [`SinkFunction`] as an operator.
pub struct Sink<F>(F);

impl<F: SinkFunction> Operator for Sink<F> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        drive::records(shape, batch, |record, ctx| {
            self.0.invoke(drive::decode(record)?, ctx).map_err(Failure::failed)
        })
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

impl<F: SinkFunction> Adaptor for Sink<F> {
    const KIND: Kind = Kind::Sink;
    const HAS_STATE: bool = false;
    const HAS_TIMERS: bool = false;
    const MAIN_OUTPUT: Option<Format> = Some(F::Out::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        vec![("main", short_type_name::<F::In<'static>>())]
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        F::open(setup).map(Self)
    }
}
