//! The adaptor of [`RichFilterFunction`].

use super::drive::{self, Failure};
use super::operator::{Adaptor, Operator, Shape};
use crate::bindings::tidegate::function::declarations::Kind;
use crate::bindings::tidegate::function::types::{Batch, Effects, Fault};
use crate::codec::{Decode, Format};
use crate::error::Result;
use crate::function::RichFilterFunction;
use crate::setup::Setup;
use crate::state::short_type_name;

/// A [`RichFilterFunction`] as an operator.
pub struct RichFilter<F>(F);

impl<F: RichFilterFunction> Operator for RichFilter<F> {
    fn process(&mut self, shape: &Shape, batch: Batch) -> Result<Effects, Fault> {
        drive::records(shape, batch, |record, ctx| {
            if self.0.filter(drive::decode(record)?, ctx).map_err(Failure::failed)? {
                ctx.call_mut().emit(0, |bytes| {
                    bytes.extend_from_slice(record);
                    Ok(())
                });
            }
            Ok(())
        })
    }

    fn close(&mut self) {
        self.0.close();
    }
}

impl<F: RichFilterFunction> Adaptor for RichFilter<F> {
    const KIND: Kind = Kind::KeyedProcess;
    const HAS_STATE: bool = true;
    const HAS_TIMERS: bool = false;
    const MAIN_OUTPUT: Option<Format> = Some(<F::In<'static> as Decode<'static>>::FORMAT);

    fn inputs() -> Vec<(&'static str, String)> {
        vec![("main", short_type_name::<F::In<'static>>())]
    }

    fn open(setup: &mut Setup) -> Result<Self> {
        F::open(setup).map(Self)
    }
}
