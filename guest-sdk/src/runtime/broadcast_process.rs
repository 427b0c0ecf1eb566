//! The adaptor of [`BroadcastProcessFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault};
use crate::codec::{Encode, Format};
use crate::context::{InitializationContext, SnapshotContext};
use crate::error::Result;
use crate::function::BroadcastProcessFunction;
use crate::setup::Setup;
use crate::state::short_type_name;

/// The contract's number of the data input.
const DATA: u32 = 0;

/// A [`BroadcastProcessFunction`] as an operator.
pub struct BroadcastProcess<F>(F);

impl<F: BroadcastProcessFunction> Operator for BroadcastProcess<F> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        // All records of a batch are of one input.
        if batch.input == DATA {
            drive::records(shape, batch, |record, ctx| {
                self.0.process_element(drive::decode(record)?, ctx).map_err(Failure::failed)
            })
        } else {
            drive::records(shape, batch, |record, ctx| {
                self.0
                    .process_broadcast_element(drive::decode(record)?, ctx)
                    .map_err(Failure::failed)
            })
        }
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

impl<F: BroadcastProcessFunction> Adaptor for BroadcastProcess<F> {
    const KIND: Kind = Kind::BroadcastProcess;
    const HAS_STATE: bool = false;
    const HAS_TIMERS: bool = false;
    const HAS_BROADCAST: bool = true;
    const MAIN_OUTPUT: Option<Format> = Some(F::Out::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        vec![
            ("main", short_type_name::<F::In<'static>>()),
            ("broadcast", short_type_name::<F::Broadcast<'static>>()),
        ]
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        F::open(setup).map(Self)
    }
}
