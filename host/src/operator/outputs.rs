//! The records that a partition sends out, by declared output, in the order in which they count.

use crate::model::{Batch, Packed};
use crate::wasm::OutputColumn;

use super::segment::Segment;

/// Outputs of so many records or bytes are worth passing on before more is made.
const LARGE_RECORDS: usize = 16_384;
const LARGE_BYTES: usize = 1 << 20;

/// One batch for each declared output. The owner takes them out and leaves them empty.
#[derive(Debug)]
pub struct Outputs {
    /// By index of the declared output.
    pub batches: Vec<Batch>,
}

/// What timers sent out, until its order is settled.
#[derive(Debug, Default)]
pub(super) struct Fired {
    /// By index of the declared output.
    columns: Vec<FiredColumn>,
}

#[derive(Debug, Default)]
struct FiredColumn {
    values: Packed,
    at: Vec<FiredAt>,
}

/// Where in the stream a timer's output belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct FiredAt {
    /// The index within the segment of the record that it precedes.
    pub(super) before: u32,
    /// Its order among timers that precede the same record.
    pub(super) order: i64,
    /// Its event time.
    pub(super) timestamp: i64,
}

impl FiredAt {
    /// By what outputs of timers are put in order.
    fn place(&self) -> (u32, i64) {
        (self.before, self.order)
    }
}

impl FiredColumn {
    fn is_sorted(&self) -> bool {
        self.at.is_sorted_by_key(FiredAt::place)
    }

    /// The outputs in order. Timers of one key fire in order, so equals stay as they are.
    fn sorted(&self) -> Vec<u32> {
        let mut indexes: Vec<u32> = (0..self.at.len() as u32).collect();
        if !self.is_sorted() {
            indexes.sort_by_key(|index| self.at[*index as usize].place());
        }
        indexes
    }

    fn clear(&mut self) {
        self.values.clear();
        self.at.clear();
    }
}

impl Outputs {
    /// Room for a function with that many outputs.
    pub fn new(outputs: usize) -> Self {
        Self { batches: vec![Batch::default(); outputs] }
    }

    /// Whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.batches.iter().all(Batch::is_empty)
    }

    /// Adds what the records of a segment sent out.
    pub(super) fn add_records(
        &mut self,
        columns: &[OutputColumn],
        batch: &Batch,
        segment: &Segment,
    ) {
        for column in columns {
            let out = &mut self.batches[column.output];
            out.values.extend(&column.values, 0..column.values.len());
            let origins = || column.origins.iter().map(|origin| segment.start + *origin as usize);
            out.timestamps.extend(origins().map(|origin| batch.timestamps[origin]));
            out.watermarks.extend(origins().map(|origin| batch.watermarks[origin]));
            out.lines.extend(origins().map(|origin| batch.lines[origin]));
            out.split.clone_from(&batch.split);
        }
    }

    /// Adds what the records of a segment sent out, and between them what timers did that became
    /// due within it. `watermark` was in force before the segment.
    pub(super) fn add_merged(
        &mut self,
        columns: &[OutputColumn],
        fired: &mut Fired,
        batch: &Batch,
        segment: &Segment,
        watermark: i64,
    ) {
        for (output, timers) in fired.columns.iter_mut().enumerate() {
            let out = &mut self.batches[output];
            out.split.clone_from(&batch.split);
            let mut waiting = timers.sorted().into_iter().peekable();
            let mut fire_before = |out: &mut Batch, record: u32| {
                let precedes = |&index: &u32| timers.at[index as usize].before <= record;
                while let Some(index) = waiting.next_if(precedes) {
                    let at = timers.at[index as usize];
                    let before = segment.start + at.before as usize;
                    let in_force =
                        if at.before == 0 { watermark } else { batch.watermarks[before - 1] };
                    out.values.push(timers.values.get(index as usize));
                    push_timer(out, at.timestamp, in_force);
                }
            };
            for column in columns.iter().filter(|column| column.output == output) {
                for (value, &origin) in column.values.iter().zip(&column.origins) {
                    fire_before(out, origin);
                    out.values.push(value);
                    push_origin(out, batch, segment.start + origin as usize);
                }
            }
            fire_before(out, u32::MAX);
            timers.clear();
        }
    }

    /// Adds what timers sent out between two segments with an order up to `settled`; the rest
    /// waits. `watermark` was in force before they were due.
    pub(super) fn add_timers(&mut self, fired: &mut Fired, settled: i64, watermark: i64) {
        for (column, out) in fired.columns.iter_mut().zip(&mut self.batches) {
            // Nearly always all is in order and settled.
            if column.is_sorted() && column.at.last().is_none_or(|last| last.order <= settled) {
                out.values.extend(&column.values, 0..column.values.len());
                out.timestamps.extend(column.at.iter().map(|at| at.timestamp));
                out.watermarks.resize(out.timestamps.len(), watermark);
                out.lines.resize(out.timestamps.len(), 0);
                column.clear();
                continue;
            }
            let mut rest = FiredColumn::default();
            for index in column.sorted() {
                let (at, value) = (column.at[index as usize], column.values.get(index as usize));
                if at.order <= settled {
                    out.values.push(value);
                    push_timer(out, at.timestamp, watermark);
                } else {
                    rest.values.push(value);
                    rest.at.push(at);
                }
            }
            *column = rest;
        }
    }

    /// Whether there is enough to be worth passing on.
    pub(super) fn is_large(&self) -> bool {
        let is_large =
            |batch: &Batch| batch.len() >= LARGE_RECORDS || batch.values.bytes.len() >= LARGE_BYTES;
        self.batches.iter().any(is_large)
    }
}

/// Adds all but the value of a record that record `index` of `batch` caused.
fn push_origin(out: &mut Batch, batch: &Batch, index: usize) {
    out.timestamps.push(batch.timestamps[index]);
    out.watermarks.push(batch.watermarks[index]);
    out.lines.push(batch.lines[index]);
}

/// Adds all but the value of a record that a timer caused.
fn push_timer(out: &mut Batch, timestamp: i64, watermark: i64) {
    out.timestamps.push(timestamp);
    out.watermarks.push(watermark);
    out.lines.push(0);
}

impl Fired {
    /// Room for a function with that many outputs.
    pub(super) fn new(outputs: usize) -> Self {
        Self { columns: std::iter::repeat_with(FiredColumn::default).take(outputs).collect() }
    }

    /// Adds what the timers of one call sent out; `at` says where each timer belongs.
    pub(super) fn add(&mut self, columns: &[OutputColumn], at: impl Fn(usize) -> FiredAt) {
        for column in columns {
            let fired = &mut self.columns[column.output];
            fired.values.extend(&column.values, 0..column.values.len());
            fired.at.extend(column.origins.iter().map(|&origin| at(origin as usize)));
        }
    }
}
