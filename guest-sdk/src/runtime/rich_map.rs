//! The adaptor of [`RichMapFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault};
use crate::codec::{Encode, Format};
use crate::error::Result;
use crate::function::RichMapFunction;
use crate::setup::Setup;
use crate::state::short_type_name;

/// A [`RichMapFunction`] as an operator.
pub struct RichMap<F>(F);

impl<F: RichMapFunction> Operator for RichMap<F> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        drive::records(shape, batch, |record, ctx| {
            let out = self.0.map(drive::decode(record)?, ctx).map_err(Failure::failed)?;
            ctx.call_mut().emit(0, |bytes| out.encode(bytes));
            Ok(())
        })
    }

    fn close(&mut self) {
        self.0.close();
    }
}

impl<F: RichMapFunction> Adaptor for RichMap<F> {
    const KIND: Kind = Kind::KeyedProcess;
    const HAS_STATE: bool = true;
    const HAS_TIMERS: bool = false;
    const MAIN_OUTPUT: Option<Format> = Some(F::Out::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        vec![("main", short_type_name::<F::In<'static>>())]
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        F::open(setup).map(Self)
    }
}
