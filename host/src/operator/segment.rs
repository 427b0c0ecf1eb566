//! A run of records of one batch that goes to the function in one call, with its distinct keys.

use crate::model::{Batch, Packed};
use crate::state::{AHEAD, KeyTable, Slot};

/// No later record has the same key.
const NO_RECORD: u32 = u32::MAX;

/// Records `start..end` of a batch. Indexes are relative to `start`.
#[derive(Debug, Default)]
pub(super) struct Segment {
    pub(super) start: usize,
    pub(super) end: usize,
    /// The distinct keys in order of their first record.
    pub(super) keys: Packed,
    /// Their slots.
    pub(super) slots: Vec<Slot>,
    /// For each record, the index of its key.
    pub(super) key_of: Vec<u32>,
    /// For each record, the next one with its key.
    next: Vec<u32>,
    /// For each key, its first and its last record.
    first: Vec<u32>,
    last: Vec<u32>,
    /// Where records end, relative to the first byte of the segment, unless the batch's own ends
    /// serve.
    ends: Vec<u32>,
}

impl Segment {
    /// Takes records `start..end` of a batch, whose keys have these slots (none without keys).
    pub(super) fn fill(
        &mut self,
        batch: &Batch,
        start: usize,
        end: usize,
        slots: &[Slot],
        table: &mut KeyTable,
    ) {
        self.start = start;
        self.end = end;
        self.keys.clear();
        self.slots.clear();
        self.key_of.clear();
        self.next.clear();
        self.first.clear();
        self.last.clear();
        self.ends.clear();
        if start > 0 {
            let base = batch.values.start(start) as u32;
            self.ends.extend(batch.values.ends[start..end].iter().map(|end| end - base));
        }
        if slots.is_empty() {
            return;
        }
        table.begin_call();
        slots[start..end].iter().take(AHEAD).for_each(|slot| table.prefetch_row(*slot));
        for (record, &slot) in slots[start..end].iter().enumerate() {
            if let Some(&later) = slots.get(start + record + AHEAD) {
                table.prefetch_row(later);
            }
            let record = record as u32;
            let local = table.local(slot).unwrap_or_else(|| self.add_key(slot, record, table));
            let last = std::mem::replace(&mut self.last[local as usize], record);
            if last != record {
                self.next[last as usize] = record;
            }
            self.key_of.push(local);
            self.next.push(NO_RECORD);
        }
    }

    fn add_key(&mut self, slot: Slot, record: u32, table: &mut KeyTable) -> u32 {
        let local = self.slots.len() as u32;
        table.set_local(slot, local);
        self.keys.push(table.key(slot));
        self.slots.push(slot);
        self.first.push(record);
        self.last.push(record);
        local
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// The bytes of the records and where each ends.
    pub(super) fn values<'a>(&'a self, batch: &'a Batch) -> (&'a [u8], &'a [u32]) {
        let (from, to) = (batch.values.start(self.start), batch.values.start(self.end));
        let bytes = &batch.values.bytes[from..to];
        let ends = if self.start == 0 { &batch.values.ends[..self.end] } else { &self.ends[..] };
        (bytes, ends)
    }

    /// Keeps the first `records` records, and of the keys those that they have.
    pub(super) fn truncate(&mut self, records: usize) {
        self.end = self.start + records;
        self.ends.truncate(records);
        if self.slots.is_empty() {
            return;
        }
        self.key_of.truncate(records);
        // Keys are numbered by first record, so those that remain are the first ones.
        let keys = self.first.partition_point(|&first| (first as usize) < records);
        self.slots.truncate(keys);
        self.keys.ends.truncate(keys);
        let bytes = self.keys.ends.last().map_or(0, |&end| end as usize);
        self.keys.bytes.truncate(bytes);
    }

    /// The first record of a key before which a timer of that key at `timestamp` is due.
    pub(super) fn first_due(&self, watermarks: &[i64], key: u32, timestamp: i64) -> Option<usize> {
        self.due_from(watermarks, self.first[key as usize], timestamp)
    }

    /// The first record after `record` and with its key before which a timer at `timestamp` is due.
    pub(super) fn next_due(
        &self,
        watermarks: &[i64],
        record: u32,
        timestamp: i64,
    ) -> Option<usize> {
        self.due_from(watermarks, self.next[record as usize], timestamp)
    }

    /// The first record after `record`, of whichever key, before which a timer at `timestamp` is
    /// due.
    pub(super) fn first_due_after(
        &self,
        watermarks: &[i64],
        record: u32,
        timestamp: i64,
    ) -> Option<usize> {
        let from = record as usize + 1;
        // Watermarks never decrease.
        let later = &watermarks[self.start + from..self.end];
        let due = from + later.partition_point(|&watermark| watermark < timestamp);
        (due < self.len()).then_some(due)
    }

    fn due_from(&self, watermarks: &[i64], mut record: u32, timestamp: i64) -> Option<usize> {
        // `next` may lead past a truncation, where there is nothing to see any more.
        while (record as usize) < self.len() {
            if watermarks[self.start + record as usize] >= timestamp {
                return Some(record as usize);
            }
            record = self.next[record as usize];
        }
        None
    }
}
