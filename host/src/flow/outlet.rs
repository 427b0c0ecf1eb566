//! The output side of a task: routes batches, or a source's records one by one, to the partitions
//! of the operators that read them, and to sinks.
//!
//! Nothing here blocks. What a full channel does not take waits in its lane, and the task does no
//! more work until every lane is empty: that is the backpressure.

use std::collections::VecDeque;
use std::sync::Arc;

use super::extractor::{Extractor, NoKey};
use super::fields::{self, FieldError, Found};
use super::sink::{Prepared, SinkWriter};
use super::{BATCH_BYTES_MAX, BATCH_RECORDS_MAX, Barrier, Item, Sender};
use crate::error::Result;
use crate::job::plan::Field;
use crate::model::{Batch, Format, KeyGroup, KeyHash, Packed, Record, TIME_NONE};

/// One output of a task and everybody who reads it.
#[derive(Default)]
pub struct Outlet {
    /// Operators.
    pub edges: Vec<Edge>,
    /// Sinks, which run within the task.
    pub sinks: Vec<SinkWriter>,
}

/// The outlets of a task, one for each output.
pub struct Outlets {
    outlets: Vec<Outlet>,
    /// Records of a source that wait for those who read whole batches.
    pending: Batch,
    /// Whether somebody does.
    has_pending: bool,
    steps_since_flush: u32,
    watermark: i64,
    idle: bool,
}

impl Outlet {
    /// Whether somebody needs many records at once.
    fn wants_batches(&self) -> bool {
        !self.sinks.is_empty() || self.edges.iter().any(Edge::wants_batches)
    }
}

/// What to do with a record whose key cannot be found: the record's index, and why.
pub(super) type OnKeyless<'a> = &'a mut dyn FnMut(&Batch, usize, &FieldError) -> Result<()>;

/// An edge to the partitions of an operator.
#[derive(Debug)]
pub struct Edge {
    key: EdgeKey,
    format: Format,
    /// The lane of each key group.
    lane_of: Vec<u16>,
    lanes: Vec<Lane>,
    next_lane: usize,
}

/// How an edge finds the partition of a record.
#[derive(Debug)]
pub enum EdgeKey {
    /// By the key group of a field.
    Field(Field),
    /// By the key group of a field that the source has found, at this place among those that it
    /// looks for.
    Found(usize),
    /// By the key group of the key that the function extracts as its input of this index.
    Function(Box<Extractor>),
    /// All to the one lane that there is.
    Forward,
    /// To each lane in turn.
    Rebalance,
    /// To all lanes.
    Broadcast,
}

/// The way to one partition.
#[derive(Debug)]
struct Lane {
    sender: Sender,
    batch: Batch,
    waiting: VecDeque<Item>,
}

impl Lane {
    fn flush(&mut self) {
        if !self.batch.is_empty() {
            let next = Batch::with_capacity_of(&self.batch);
            let batch = std::mem::replace(&mut self.batch, next);
            self.waiting.push_back(Item::Batch(Box::new(batch)));
        }
    }

    /// Begins records of a split: a batch tells one for all that it has.
    fn begin(&mut self, split: Option<&Arc<str>>) {
        if self.batch.split.as_ref() != split {
            self.flush();
            self.batch.split = split.cloned();
        }
    }

    fn flush_if_full(&mut self) {
        if self.batch.is_full() {
            self.flush();
        }
    }

    /// Sends what waits. Returns whether all of it could be sent.
    fn send(&mut self) -> bool {
        while let Some(item) = self.waiting.pop_front() {
            if let Err(item) = self.sender.try_send(item) {
                self.waiting.push_front(item);
                return false;
            }
        }
        true
    }
}

impl Edge {
    /// An edge through these channels, one for each partition.
    pub fn new(key: EdgeKey, format: Format, max_parallelism: u32, senders: Vec<Sender>) -> Self {
        let lane = |sender| Lane { sender, batch: Batch::default(), waiting: VecDeque::new() };
        let lanes: Vec<Lane> = senders.into_iter().map(lane).collect();
        let parallelism = u32::try_from(lanes.len()).expect("parallelism is checked");
        let lane_of = |group| KeyGroup(group).partition(parallelism, max_parallelism).0 as u16;
        let lane_of = (0..max_parallelism).map(lane_of).collect();
        Self { key, format, lane_of, lanes, next_lane: 0 }
    }

    /// Whether it needs many records at once.
    fn wants_batches(&self) -> bool {
        matches!(self.key, EdgeKey::Function(_))
    }

    /// Adds a record whose source has found its fields.
    #[inline]
    fn push(&mut self, record: Record<'_>, found: &Found) {
        match &self.key {
            EdgeKey::Found(place) => self.push_keyed(record, found.get(record.value, *place)),
            EdgeKey::Forward => self.lanes[0].batch.push(record),
            EdgeKey::Rebalance => self.push_to_next(record),
            EdgeKey::Broadcast => self.lanes.iter_mut().for_each(|lane| lane.batch.push(record)),
            EdgeKey::Function(_) => {}
            EdgeKey::Field(field) => unreachable!("a source finds {field:?} by itself"),
        }
    }

    fn route(&mut self, batch: &Batch, on_keyless: OnKeyless<'_>) -> Result<()> {
        self.lanes.iter_mut().for_each(|lane| lane.begin(batch.split.as_ref()));
        match &mut self.key {
            EdgeKey::Field(field) => {
                let field = field.clone();
                for index in 0..batch.len() {
                    match fields::find(batch.values.get(index), self.format, &field) {
                        Ok(key) => self.push_keyed(batch.record(index), &key),
                        Err(error) => on_keyless(batch, index, &error)?,
                    }
                }
            }
            EdgeKey::Function(extractor) => match extractor.keys(&batch.values) {
                Ok(keys) => self.push_all_keyed(batch, &keys),
                // One by one, to find the records that have no key.
                Err(_) => self.extract_one_by_one(batch, on_keyless)?,
            },
            EdgeKey::Forward => self.lanes[0].batch.extend(batch),
            EdgeKey::Rebalance => {
                (0..batch.len()).for_each(|index| self.push_to_next(batch.record(index)));
            }
            EdgeKey::Broadcast => self.lanes.iter_mut().for_each(|lane| lane.batch.extend(batch)),
            EdgeKey::Found(_) => unreachable!("only sources find fields by themselves"),
        }
        self.lanes.iter_mut().for_each(Lane::flush_if_full);
        Ok(())
    }

    fn push_to_next(&mut self, record: Record<'_>) {
        let lane = self.next_lane;
        self.lanes[lane].batch.push(record);
        self.next_lane = (lane + 1) % self.lanes.len();
    }

    fn push_keyed(&mut self, record: Record<'_>, key: &[u8]) {
        let hash = KeyHash::of(key);
        let group = hash.key_group(self.lane_of.len() as u32);
        let target = &mut self.lanes[usize::from(self.lane_of[group.0 as usize])].batch;
        target.push(record);
        target.keys.push(key);
        target.hashes.push(hash);
    }

    fn push_all_keyed(&mut self, batch: &Batch, keys: &Packed) {
        keys.iter().enumerate().for_each(|(index, key)| self.push_keyed(batch.record(index), key));
    }

    fn extract_one_by_one(&mut self, batch: &Batch, on_keyless: OnKeyless<'_>) -> Result<()> {
        for index in 0..batch.len() {
            let EdgeKey::Function(extractor) = &mut self.key else {
                unreachable!("only edges by function extract keys")
            };
            match extractor.key(batch, index) {
                Ok(key) => self.push_keyed(batch.record(index), key.get(0)),
                Err(NoKey::Malformed(reason)) => on_keyless(batch, index, &reason)?,
                Err(NoKey::Fault(error)) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Outlets {
    /// These outlets, one for each output of the task.
    pub fn new(outlets: Vec<Outlet>) -> Self {
        Self {
            outlets,
            pending: Batch::default(),
            has_pending: false,
            steps_since_flush: 0,
            watermark: TIME_NONE,
            idle: false,
        }
    }

    /// Sends what waits. Returns whether all of it could be sent; if not, the task must not go on.
    pub(super) fn send(&mut self) -> bool {
        let mut all = true;
        for lane in self.lanes() {
            all &= lane.send();
        }
        for sink in self.outlets.iter_mut().flat_map(|outlet| &mut outlet.sinks) {
            all &= sink.send();
        }
        all
    }

    fn lanes(&mut self) -> impl Iterator<Item = &mut Lane> {
        let edges = self.outlets.iter_mut().flat_map(|outlet| &mut outlet.edges);
        edges.flat_map(|edge| &mut edge.lanes)
    }

    /// Begins records of a source that are of this split.
    pub(super) fn begin(&mut self, split: &Arc<str>) {
        self.lanes().for_each(|lane| lane.begin(Some(split)));
        self.has_pending = self.outlets.iter().any(Outlet::wants_batches);
        self.pending.split = Some(split.clone());
    }

    /// Hands on a record of a source, whose fields have been found. Who reads whole batches gets it
    /// with [`finish`](Self::finish).
    #[inline]
    pub(super) fn push(&mut self, record: Record<'_>, found: &Found) {
        for outlet in &mut self.outlets {
            outlet.edges.iter_mut().for_each(|edge| edge.push(record, found));
        }
        if self.has_pending {
            self.pending.push(record);
        }
    }

    /// Ends what [`begin`](Self::begin) began.
    pub(super) fn finish(&mut self, on_keyless: OnKeyless<'_>) -> Result<()> {
        self.idle = false;
        let pending = &mut self.pending;
        for outlet in &mut self.outlets {
            for edge in &mut outlet.edges {
                match edge.wants_batches() {
                    true => edge.route(pending, on_keyless)?,
                    false => edge.lanes.iter_mut().for_each(Lane::flush_if_full),
                }
            }
            outlet.sinks.iter_mut().try_for_each(|sink| sink.write(pending))?;
        }
        pending.clear();
        Ok(())
    }

    /// Hands a batch of output `output` to all who read it.
    pub(super) fn route(
        &mut self,
        output: usize,
        batch: &Batch,
        on_keyless: OnKeyless<'_>,
    ) -> Result<()> {
        self.idle = false;
        let outlet = &mut self.outlets[output];
        for edge in &mut outlet.edges {
            edge.route(batch, on_keyless)?;
        }
        outlet.sinks.iter_mut().try_for_each(|sink| sink.write(batch))
    }

    /// Ends a step: flushes if there is nothing more to do at once, or if it has been a while.
    pub(super) fn end_step(&mut self, watermark: i64, more: bool) -> Result<()> {
        self.steps_since_flush += 1;
        if more && self.steps_since_flush < super::STEPS_UNTIL_FLUSH {
            return Ok(());
        }
        self.flush(watermark)
    }

    /// Makes everything visible to those who read: records that wait, and the watermark if it has
    /// risen.
    pub(super) fn flush(&mut self, watermark: i64) -> Result<()> {
        self.steps_since_flush = 0;
        let risen = watermark > self.watermark;
        self.watermark = self.watermark.max(watermark);
        self.idle &= !risen;
        for lane in self.lanes() {
            lane.flush();
            if risen {
                lane.waiting.push_back(Item::Watermark(watermark));
            }
        }
        let mut sinks = self.outlets.iter_mut().flat_map(|outlet| &mut outlet.sinks);
        sinks.try_for_each(SinkWriter::flush)
    }

    /// Tells all who read not to wait for this task's watermarks.
    pub(super) fn set_idle(&mut self) -> Result<()> {
        self.flush(self.watermark)?;
        if !self.idle {
            self.idle = true;
            self.lanes().for_each(|lane| lane.waiting.push_back(Item::Idle));
        }
        Ok(())
    }

    /// Sends a barrier after all that came before it, and cuts the output of sinks at it. If a
    /// function that extracts keys changes with it, keys are those of the new one from here on.
    /// Returns the output, which is not durable yet.
    pub(super) fn pass_barrier(
        &mut self,
        barrier: &Barrier,
        watermark: i64,
    ) -> Result<Vec<Prepared>> {
        self.flush(watermark)?;
        self.lanes().for_each(|lane| lane.waiting.push_back(Item::Barrier(barrier.clone())));
        if let Some(order) = &barrier.swap {
            for edge in self.outlets.iter_mut().flat_map(|outlet| &mut outlet.edges) {
                if let EdgeKey::Function(extractor) = &mut edge.key {
                    extractor.swap(order)?;
                }
            }
        }
        let mut prepared = Vec::new();
        for sink in self.outlets.iter_mut().flat_map(|outlet| &mut outlet.sinks) {
            prepared.extend(sink.prepare(barrier.id)?);
        }
        Ok(prepared)
    }

    /// Puts the outlets into the order of another function's outputs: for each, the index that it
    /// had, or none if nobody has read it so far.
    pub(super) fn rearrange(&mut self, outputs: &[Option<usize>]) {
        let mut before: Vec<Option<Outlet>> = self.outlets.drain(..).map(Some).collect();
        let mut outlet = |place: &Option<usize>| place.and_then(|place| before[place].take());
        self.outlets = outputs.iter().map(&mut outlet).map(Option::unwrap_or_default).collect();
    }

    /// Flushes and tells all who read that nothing will come any more.
    pub(super) fn end(&mut self, watermark: i64) -> Result<()> {
        self.flush(watermark)?;
        self.lanes().for_each(|lane| lane.waiting.push_back(Item::End));
        Ok(())
    }
}

impl Batch {
    /// An empty batch that takes as much as `other` holds without growing.
    fn with_capacity_of(other: &Batch) -> Self {
        let packed = |other: &Packed| Packed::with_capacity(other.len(), other.bytes.len());
        Self {
            values: packed(&other.values),
            timestamps: Vec::with_capacity(other.len()),
            watermarks: Vec::with_capacity(other.len()),
            keys: packed(&other.keys),
            hashes: Vec::with_capacity(other.hashes.len()),
            lines: Vec::with_capacity(other.len()),
            split: other.split.clone(),
        }
    }

    fn is_full(&self) -> bool {
        self.len() >= BATCH_RECORDS_MAX || self.values.bytes.len() >= BATCH_BYTES_MAX
    }

    /// Adds all records of `other` without their keys.
    fn extend(&mut self, other: &Batch) {
        self.values.extend(&other.values, 0..other.len());
        self.timestamps.extend_from_slice(&other.timestamps);
        self.watermarks.extend_from_slice(&other.watermarks);
        self.lines.extend_from_slice(&other.lines);
    }
}
