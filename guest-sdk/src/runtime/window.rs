//! The adaptor of [`WindowFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault, TimerBatch};
use crate::codec::{Decode, Encode, Format};
use crate::context::WindowContext;
use crate::error::Result;
use crate::setup::Setup;
use crate::state::short_type_name;
use crate::window::{LATE, WindowFunction, WindowOperator};

/// A [`WindowFunction`] as an operator.
pub struct Window<F: WindowFunction> {
    function: F,
    windows: WindowOperator<F::Acc>,
    /// The index of the output of late records.
    late: usize,
}

impl<F: WindowFunction> Operator for Window<F> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        let Self { function, windows, late } = self;
        drive::records(shape, batch, |record, ctx: &mut WindowContext<'_, F::Out>| {
            let value: F::In<'_> = drive::decode(record)?;
            if !windows.add(function, &value, ctx).map_err(Failure::failed)? {
                ctx.call_mut().emit(*late, |out| {
                    out.extend_from_slice(record);
                    Ok(())
                });
            }
            Ok(())
        })
    }

    fn fire(&mut self, shape: &Shape, timers: TimerBatch) -> Result<Effects, Fault> {
        drive::timers(shape, timers, |timer, ctx| {
            self.windows.on_timer(timer, &mut self.function, ctx)
        })
    }

    fn close(&mut self) {
        self.function.close();
    }
}

impl<F: WindowFunction> Adaptor for Window<F> {
    const KIND: Kind = Kind::KeyedProcess;
    const HAS_STATE: bool = true;
    const HAS_TIMERS: bool = true;
    const MAIN_OUTPUT: Option<Format> = Some(F::Out::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        vec![("main", short_type_name::<F::In<'static>>())]
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        let (function, windows) = F::open(setup)?;
        let windows = WindowOperator::open(setup, &windows)?;
        let late = setup.declare_output(LATE, F::In::FORMAT);
        Ok(Self { function, windows, late })
    }
}
