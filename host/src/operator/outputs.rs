//! The records that a partition sends out, by declared output, in the order in which they count.

use crate::model::{Batch, Packed, TIME_NONE, TimeDomain};
use crate::wasm::OutputColumn;

use super::segment::Segment;

/// One batch for each declared output. The owner takes them out and leaves them empty.
#[derive(Debug)]
pub struct Outputs {
    /// By index of the declared output.
    pub batches: Vec<Batch>,
}

/// What timers sent out while a segment waited to be sent out itself.
#[derive(Debug, Default)]
pub(super) struct Fired {
    /// By index of the declared output.
    columns: Vec<FiredColumn>,
    /// The index of the first record that comes after the timer that fired last.
    before: u32,
}

#[derive(Debug, Default)]
struct FiredColumn {
    values: Packed,
    timestamps: Vec<i64>,
    /// For each, the index within the segment of the record that it precedes. Never decreases.
    before: Vec<u32>,
}

/// The timers of one call, as far as their outputs need them.
#[derive(Debug, Clone, Copy)]
pub(super) struct FiredTimers<'a> {
    pub(super) domain: TimeDomain,
    pub(super) timestamps: &'a [i64],
}

impl FiredTimers<'_> {
    /// The event time of what timer `origin` sends out.
    fn event_time(&self, origin: u32) -> i64 {
        match self.domain {
            TimeDomain::Event => self.timestamps[origin as usize],
            TimeDomain::Processing => TIME_NONE,
        }
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
            for &origin in &column.origins {
                push_origin(out, batch, segment.start + origin as usize);
            }
            out.split.clone_from(&batch.split);
        }
    }

    /// Adds what the records of a segment sent out, and between them what timers did that became due within it.
    /// `watermark` was in force before the segment.
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
            let mut next = 0;
            let mut fire_before = |out: &mut Batch, record: u32| {
                while next < timers.before.len() && timers.before[next] <= record {
                    let before = segment.start + timers.before[next] as usize;
                    let in_force = if timers.before[next] == 0 {
                        watermark
                    } else {
                        batch.watermarks[before - 1]
                    };
                    out.values.push(timers.values.get(next));
                    push_timer(out, timers.timestamps[next], in_force);
                    next += 1;
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
            timers.values.clear();
            timers.timestamps.clear();
            timers.before.clear();
        }
        fired.before = 0;
    }

    /// Adds what timers sent out between two batches. `watermark` was in force before they were due.
    pub(super) fn add_timers(
        &mut self,
        columns: &[OutputColumn],
        timers: FiredTimers<'_>,
        watermark: i64,
    ) {
        for column in columns {
            let out = &mut self.batches[column.output];
            out.values.extend(&column.values, 0..column.values.len());
            for &origin in &column.origins {
                push_timer(out, timers.event_time(origin), watermark);
            }
        }
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
        let columns = std::iter::repeat_with(FiredColumn::default).take(outputs).collect();
        Self { columns, before: 0 }
    }

    /// Adds what one call's timers sent out. `before(origin)` is the index of the record that a timer precedes.
    pub(super) fn add(
        &mut self,
        columns: &[OutputColumn],
        timers: FiredTimers<'_>,
        before: impl Fn(usize) -> u32,
    ) {
        let mut latest = self.before;
        for column in columns {
            let fired = &mut self.columns[column.output];
            fired.values.extend(&column.values, 0..column.values.len());
            for &origin in &column.origins {
                // A timer that was registered while others fired comes after them, whatever its time.
                let place = before(origin as usize).max(self.before);
                latest = latest.max(place);
                fired.timestamps.push(timers.event_time(origin));
                fired.before.push(place);
            }
        }
        self.before = latest;
    }
}
