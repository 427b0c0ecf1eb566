//! The adaptor of [`FlatMapWithStateFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault};
use crate::codec::{Encode, Format};
use crate::context::FlatMapContext;
use crate::error::Result;
use crate::function::FlatMapWithStateFunction;
use crate::setup::Setup;
use crate::state::{ValueState, short_type_name};

/// The name of the state in checkpoints.
const STATE: &str = "state";

/// A [`FlatMapWithStateFunction`] as an operator, with the state that it works on.
pub struct FlatMapWithState<F: FlatMapWithStateFunction> {
    function: F,
    state: ValueState<F::State>,
}

impl<F: FlatMapWithStateFunction> Operator for FlatMapWithState<F> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        let Self { function, state } = self;
        drive::records(shape, batch, |record, ctx: &mut FlatMapContext<'_, F::Out>| {
            let value = drive::decode(record)?;
            step(function, state, value, ctx).map_err(Failure::failed)
        })
    }

    fn close(&mut self) {
        self.function.close();
    }
}

fn step<F: FlatMapWithStateFunction>(
    function: &mut F,
    state: &ValueState<F::State>,
    value: F::In<'_>,
    ctx: &mut FlatMapContext<'_, F::Out>,
) -> Result<()> {
    let before = state.value(ctx)?;
    let (outputs, after) = function.flat_map_with_state(value, before)?;
    match after {
        Some(after) => state.update(ctx, &after)?,
        None => state.clear(ctx),
    }
    outputs.into_iter().for_each(|output| ctx.collect(output));
    Ok(())
}

impl<F: FlatMapWithStateFunction> Adaptor for FlatMapWithState<F> {
    const KIND: Kind = Kind::KeyedProcess;
    const HAS_STATE: bool = true;
    const HAS_TIMERS: bool = false;
    const MAIN_OUTPUT: Option<Format> = Some(F::Out::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        vec![("main", short_type_name::<F::In<'static>>())]
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        let function = F::open(setup)?;
        Ok(Self { function, state: setup.value_state(STATE) })
    }
}
