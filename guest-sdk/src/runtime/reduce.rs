//! The adaptor of [`ReduceFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault};
use crate::codec::{Encode, Format};
use crate::context::FlatMapContext;
use crate::error::Result;
use crate::function::ReduceFunction;
use crate::setup::Setup;
use crate::state::{ValueState, short_type_name};

/// The name of the state in checkpoints.
const STATE: &str = "reduced";

/// A [`ReduceFunction`] as an operator, with the state that it works on.
pub struct Reduce<F: ReduceFunction> {
    function: F,
    state: ValueState<F::Value>,
}

impl<F: ReduceFunction> Operator for Reduce<F> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        let Self { function, state } = self;
        drive::records(shape, batch, |record, ctx: &mut FlatMapContext<'_, F::Value>| {
            let value = drive::decode(record)?;
            step(function, state, value, ctx).map_err(Failure::failed)
        })
    }

    fn close(&mut self) {
        self.function.close();
    }
}

fn step<F: ReduceFunction>(
    function: &mut F,
    state: &ValueState<F::Value>,
    value: F::Value,
    ctx: &mut FlatMapContext<'_, F::Value>,
) -> Result<()> {
    let reduced = match state.value(ctx)? {
        Some(before) => function.reduce(before, value)?,
        None => value,
    };
    state.update(ctx, &reduced)?;
    ctx.collect(reduced);
    Ok(())
}

impl<F: ReduceFunction> Adaptor for Reduce<F> {
    const KIND: Kind = Kind::KeyedProcess;
    const HAS_STATE: bool = true;
    const HAS_TIMERS: bool = false;
    const MAIN_OUTPUT: Option<Format> = Some(<F::Value as Encode>::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        vec![("main", short_type_name::<F::Value>())]
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        let function = F::open(setup)?;
        Ok(Self { function, state: setup.value_state(STATE) })
    }
}
