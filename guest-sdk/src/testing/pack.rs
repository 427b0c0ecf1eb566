//! Records, timers and state to the columns of the contract, and columns to strings.

use std::collections::HashMap;

use super::store::Store;
use crate::bindings::tidegate::function::types::{Batch, Packed, TimerBatch};
use crate::context::TimeDomain;

/// The event time of a record that has none.
const NO_TIMESTAMP: i64 = i64::MIN;

/// A record to process.
pub(super) struct Input {
    key: Option<Vec<u8>>,
    record: Vec<u8>,
    event_time: Option<i64>,
}

impl Input {
    pub(super) fn new(
        key: &impl AsRef<[u8]>,
        record: &impl AsRef<[u8]>,
        event_time: Option<i64>,
    ) -> Self {
        let key = Some(key.as_ref().to_vec());
        Self { key, record: record.as_ref().to_vec(), event_time }
    }

    pub(super) fn without_key(record: &impl AsRef<[u8]>, event_time: Option<i64>) -> Self {
        Self { key: None, record: record.as_ref().to_vec(), event_time }
    }
}

/// The times that hold for a call.
pub(super) struct Clocks {
    pub(super) watermark: i64,
    pub(super) processing: i64,
}

/// Packs records of one input with the state of their keys.
pub(super) fn batch(input: u32, inputs: &[Input], store: &mut Store, clocks: Clocks) -> Batch {
    let mut index = HashMap::new();
    let mut keys = Vec::new();
    let mut key_of = Vec::new();
    for key in inputs.iter().filter_map(|input| input.key.as_deref()) {
        key_of.push(*index.entry(key).or_insert_with(|| {
            keys.push(key);
            keys.len() as u32 - 1
        }));
    }
    // Both of the contract's ways to say that there are no event times.
    let timestamps = match inputs.iter().any(|input| input.event_time.is_some()) {
        true => inputs.iter().map(|input| input.event_time.unwrap_or(NO_TIMESTAMP)).collect(),
        false => Vec::new(),
    };
    Batch {
        input,
        values: packed(inputs.iter().map(|input| &input.record)),
        timestamps,
        watermarks: vec![clocks.watermark; inputs.len()],
        states: store.columns(&keys),
        operator_states: store.operator.push(),
        keys: packed(keys),
        key_of,
        processing_time: clocks.processing,
    }
}

/// Packs due timers with the state of their keys. `watermark(timestamp)` is what a timer sees.
pub(super) fn timers(
    domain: TimeDomain,
    due: &[(i64, Vec<u8>)],
    store: &mut Store,
    watermark: impl Fn(i64) -> i64,
    processing_time: i64,
) -> TimerBatch {
    let keys: Vec<&[u8]> = due.iter().map(|(_, key)| key.as_slice()).collect();
    TimerBatch {
        domain: domain as u8,
        timestamps: due.iter().map(|(timestamp, _)| *timestamp).collect(),
        states: store.columns(&keys),
        operator_states: store.operator.push(),
        keys: packed(keys),
        watermarks: due.iter().map(|(timestamp, _)| watermark(*timestamp)).collect(),
        processing_time,
    }
}

/// Makes a column of strings.
pub(super) fn packed<S: AsRef<[u8]>>(strings: impl IntoIterator<Item = S>) -> Packed {
    let mut packed = Packed { bytes: Vec::new(), ends: Vec::new() };
    for string in strings {
        packed.bytes.extend_from_slice(string.as_ref());
        packed.ends.push(packed.bytes.len() as u32);
    }
    packed
}

/// The strings of a column.
pub(super) fn strings(packed: &Packed) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    packed.ends.iter().map(move |end| {
        let string = &packed.bytes[start..*end as usize];
        start = *end as usize;
        string
    })
}
