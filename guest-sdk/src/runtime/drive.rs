//! Walks the records or timers of a batch: the only place that unpacks them.

use std::mem;

use super::call::{Call, Position};
use super::operator::{Shape, fault};
use crate::bindings::tidegate::function::types::{
    Batch, Effects, Fault, FaultKind, Packed, TimerBatch,
};
use crate::codec::Decode;
use crate::context::{Context, TimeDomain, Timer};
use crate::error::{Error, Result};

/// The event time of a record that has none, in a stream where others do.
const NO_TIMESTAMP: i64 = i64::MIN;

/// Processes the records of a batch in order: decodes each into an `In` and calls `each` with it.
pub(super) fn records<Out, Can, F>(
    shape: &Shape,
    mut batch: Batch,
    mut each: F,
) -> Result<Effects, Fault>
where
    F: for<'a> FnMut(&'a [u8], &mut Context<'_, Out, Can>) -> Result<(), Failure>,
{
    let states = mem::take(&mut batch.states);
    let Batch { values, timestamps, watermarks, keys, key_of, processing_time, .. } = &batch;
    let count = values.ends.len();
    let is_keyed = !key_of.is_empty();
    assert_eq!(watermarks.len(), count, "the host sends a watermark with each record");
    assert!(timestamps.is_empty() || timestamps.len() == count, "the host sends all event times");
    assert!(!is_keyed || key_of.len() == count, "the host sends the key of each record");
    let call = Call::new(shape, keys.ends.len(), states, *processing_time, None);
    let mut ctx = Context::new(call);
    for index in 0..count {
        let key = if is_keyed { key_of[index] as usize } else { 0 };
        ctx.call_mut().seek(Position {
            cause: index as u32,
            key,
            key_bytes: if is_keyed { string(keys, key) } else { &[] },
            timestamp: timestamps.get(index).copied().filter(|time| *time != NO_TIMESTAMP),
            watermark: watermarks[index],
        });
        step(index, &mut ctx, |ctx| each(string(values, index), ctx))?;
    }
    Ok(ctx.into_call().into_effects())
}

/// Fires the timers of a batch in order.
pub(super) fn timers<Out, Can, F>(
    shape: &Shape,
    mut batch: TimerBatch,
    mut each: F,
) -> Result<Effects, Fault>
where
    F: FnMut(Timer, &mut Context<'_, Out, Can>) -> Result<()>,
{
    let states = mem::take(&mut batch.states);
    let TimerBatch { timestamps, keys, watermarks, processing_time, .. } = &batch;
    let domain = match batch.domain {
        0 => TimeDomain::EventTime,
        _ => TimeDomain::ProcessingTime,
    };
    assert_eq!(keys.ends.len(), timestamps.len(), "the host sends the key of each timer");
    assert_eq!(watermarks.len(), timestamps.len(), "the host sends the watermark of each timer");
    let call = Call::new(shape, timestamps.len(), states, *processing_time, Some(domain));
    let mut ctx = Context::new(call);
    for (index, timestamp) in timestamps.iter().copied().enumerate() {
        ctx.call_mut().seek(Position {
            cause: index as u32,
            key: index,
            key_bytes: string(keys, index),
            timestamp: Some(timestamp),
            watermark: watermarks[index],
        });
        let timer = Timer { timestamp, domain };
        step(index, &mut ctx, |ctx| each(timer, ctx).map_err(Failure::failed))?;
    }
    Ok(ctx.into_call().into_effects())
}

/// Why a record could not be processed.
pub(super) struct Failure {
    kind: FaultKind,
    error: Error,
}

impl Failure {
    /// The function gave up.
    #[cold]
    pub(super) fn failed(error: Error) -> Self {
        Self { kind: FaultKind::Failed, error }
    }

    /// The record cannot be decoded.
    #[cold]
    fn malformed(error: Error) -> Self {
        Self { kind: FaultKind::Malformed, error }
    }
}

/// Reads a record.
#[inline]
pub(super) fn decode<'a, In: Decode<'a>>(record: &'a [u8]) -> Result<In, Failure> {
    In::decode(record).map_err(Failure::malformed)
}

#[inline]
fn step<'a, Out, Can>(
    index: usize,
    ctx: &mut Context<'a, Out, Can>,
    run: impl FnOnce(&mut Context<'a, Out, Can>) -> Result<(), Failure>,
) -> Result<(), Fault> {
    run(ctx)
        .and_then(|()| ctx.call_mut().check_outputs().map_err(Failure::failed))
        .map_err(|Failure { kind, error }| fault(kind, Some(index as u32), error))
}

/// String `index` of a column.
#[inline]
fn string(column: &Packed, index: usize) -> &[u8] {
    let start = if index == 0 { 0 } else { column.ends[index - 1] as usize };
    &column.bytes[start..column.ends[index] as usize]
}
