//! The adaptor of [`SourceFunction`].

use super::call::Call;
use super::operator::{Adaptor, Operator, Shape, fault};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{self, Batch, Effects, Fault, FaultKind, Polled};
use crate::codec::{Encode, Format};
use crate::context::{Context, InitializationContext, SnapshotContext};
use crate::error::{Error, Result};
use crate::function::{NextPoll, SourceFunction};
use crate::setup::Setup;

/// A [`SourceFunction`] as an operator.
pub struct Source<F>(F);

impl<F: SourceFunction> Operator for Source<F> {
    fn process(&mut self, _shape: &Shape, _batch: Batch) -> Result<Effects, Fault> {
        Err(fault(FaultKind::Failed, None, Error::msg("a source has no input")))
    }

    fn poll(&mut self, shape: &Shape, poll: types::PollRequest) -> Result<Polled, Fault> {
        let mut call = Call::without_records(shape, poll.processing_time);
        call.records_max = poll.records_max as usize;
        let mut ctx = Context::new(call);
        let next = self
            .0
            .poll_next(&mut ctx)
            .and_then(|next| ctx.call_mut().check_outputs().map(|()| next))
            .map_err(|error| fault(FaultKind::Failed, None, error))?;
        let next = match next {
            NextPoll::Now => types::NextPoll::Now,
            NextPoll::At(time) => types::NextPoll::At(time),
            NextPoll::Never => types::NextPoll::Never,
        };
        Ok(Polled { effects: ctx.into_call().into_effects(), next })
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

impl<F: SourceFunction> Adaptor for Source<F> {
    const KIND: Kind = Kind::Source;
    const HAS_STATE: bool = false;
    const HAS_TIMERS: bool = false;
    const MAIN_OUTPUT: Option<Format> = Some(F::Out::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        Vec::new()
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        F::open(setup).map(Self)
    }
}
