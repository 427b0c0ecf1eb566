//! The adaptor of [`RollingAggregateFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault};
use crate::codec::{Encode, Format};
use crate::context::FlatMapContext;
use crate::error::Result;
use crate::function::RollingAggregateFunction;
use crate::setup::Setup;
use crate::state::{ValueState, short_type_name};

/// The name of the state in checkpoints.
const STATE: &str = "accumulator";

/// A [`RollingAggregateFunction`] as an operator, with the state that it works on.
pub struct RollingAggregate<F: RollingAggregateFunction> {
    function: F,
    state: ValueState<F::Acc>,
}

impl<F: RollingAggregateFunction> Operator for RollingAggregate<F> {
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

fn step<F: RollingAggregateFunction>(
    function: &mut F,
    state: &ValueState<F::Acc>,
    value: F::In<'_>,
    ctx: &mut FlatMapContext<'_, F::Out>,
) -> Result<()> {
    let before = state.value(ctx)?.unwrap_or_else(|| function.create_accumulator());
    let accumulator = function.add(value, before)?;
    state.update(ctx, &accumulator)?;
    let result = function.get_result(accumulator)?;
    ctx.collect(result);
    Ok(())
}

impl<F: RollingAggregateFunction> Adaptor for RollingAggregate<F> {
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
