//! The Kafka source as its task sees it: what the readers of its topics have sent, and the offset
//! of each partition after the last record that was given out.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, TryRecvError};

use super::reader::{self, Gate, Run, Shared, Told};
use crate::checkpoint::manifest::SourcePosition;
use crate::error::{Error, Result};
use crate::flow::Waker;
use crate::flow::connectors::{Connector, Next};
use crate::job::plan::kafka::KafkaSourcePlan;
use crate::wasm::LogSink;

/// So many chunks of records wait at most.
const CHUNKS_MAX: usize = 4;

/// Of a record that is too long so many bytes are shown.
const BEGINNING_BYTES: usize = 1 << 10;

/// The name of a partition in positions and checkpoints: `orders[3]`.
pub(super) fn split_name(topic: &str, partition: i32) -> String {
    format!("{topic}[{partition}]")
}

/// The topic and partition of such a name.
pub(super) fn parse_split(name: &str) -> Option<(&str, i32)> {
    let (topic, partition) = name.strip_suffix(']')?.rsplit_once('[')?;
    Some((topic, partition.parse().ok()?))
}

/// Records of topics.
#[derive(Debug)]
pub(in crate::flow) struct KafkaSource {
    plan: Arc<KafkaSourcePlan>,
    line_bytes_max: usize,
    told: Receiver<(usize, Told)>,
    is_closed: Arc<AtomicBool>,
    /// What it goes on from, until all topics are known.
    restored: SourcePosition,
    /// In the order in which they were found: each is a lane.
    splits: Vec<Split>,
    /// By index of the topic, and partition.
    lane_of: HashMap<(usize, i32), usize>,
    /// Topics whose partitions are known, and topics that have ended.
    known: usize,
    ended: usize,
    waiting: VecDeque<(usize, Run)>,
    current: Option<Current>,
}

#[derive(Debug)]
struct Split {
    name: Arc<str>,
    /// The offset of the next record to be given out.
    next: u64,
}

/// The run that is being given out.
#[derive(Debug)]
struct Current {
    run: Run,
    lane: usize,
    /// The index of the next record.
    next: usize,
    is_announced: bool,
}

impl KafkaSource {
    /// Starts to read. Connects in the background: what fails there shows in
    /// [`next`](Connector::next). `log` takes warnings.
    ///
    /// # Errors
    /// If the checkpoint has offsets of topics that the source does not read, or if no thread can
    /// be started.
    pub(in crate::flow) fn open(
        plan: &KafkaSourcePlan,
        line_bytes_max: usize,
        waker: &Waker,
        log: LogSink,
        from: &SourcePosition,
    ) -> Result<Self> {
        let unread = from.offsets.keys().find(|split| {
            let topic = parse_split(split).map(|(topic, _)| topic);
            !plan.topics.iter().any(|read| Some(read.as_str()) == topic)
        });
        if let Some(split) = unread {
            let message =
                format!("the checkpoint has an offset of {split}, which the source does not read");
            let hint = "nothing is restored in part: put the topic back into `topics`";
            return Err(Error::input(message).hint(hint));
        }
        let (sender, told) = mpsc::sync_channel(CHUNKS_MAX);
        let is_closed = Arc::new(AtomicBool::new(false));
        let plan = Arc::new(plan.clone());
        let shared = Shared {
            plan: plan.clone(),
            restored: Arc::new(from.offsets.clone()),
            gate: Arc::new(Gate::default()),
            is_closed: is_closed.clone(),
            sender,
            waker: waker.clone(),
            log,
        };
        for (index, topic) in plan.topics.iter().enumerate() {
            let shared = shared.clone();
            let thread = std::thread::Builder::new().name(format!("kafka {topic}"));
            let started = thread.spawn(move || reader::read(shared, index));
            started.map_err(|cause| Error::input("cannot start a thread").caused_by(cause))?;
        }
        Ok(Self {
            plan,
            line_bytes_max,
            told,
            is_closed,
            restored: from.clone(),
            splits: Vec::new(),
            lane_of: HashMap::new(),
            known: 0,
            ended: 0,
            waiting: VecDeque::new(),
            current: None,
        })
    }

    fn take(&mut self, topic: usize, told: Told) -> Result<()> {
        match told {
            Told::Splits(found) => {
                let is_first = !self.lane_of.keys().any(|(of, _)| *of == topic);
                self.known += usize::from(is_first);
                for (partition, next) in found {
                    self.lane_of.insert((topic, partition), self.splits.len());
                    let name = split_name(&self.plan.topics[topic], partition).into();
                    self.splits.push(Split { name, next });
                }
                Ok(())
            }
            Told::Records(runs) => {
                self.waiting.extend(runs.into_iter().map(|run| (topic, run)));
                Ok(())
            }
            Told::End => {
                self.ended += 1;
                Ok(())
            }
            Told::Failed(error) => Err(error),
        }
    }

    /// Makes the next run the current one. Returns whether there is one.
    fn advance(&mut self) -> Result<bool> {
        loop {
            if let Some((topic, run)) = self.waiting.pop_front() {
                let lane = self.lane_of[&(topic, run.partition)];
                self.current = Some(Current { run, lane, next: 0, is_announced: false });
                return Ok(true);
            }
            match self.told.try_recv() {
                Ok((topic, told)) => self.take(topic, told)?,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }
}

impl Connector for KafkaSource {
    fn next(&mut self, _now: i64) -> Result<Next<'_>> {
        let is_done = |current: &Option<Current>| {
            current.as_ref().is_none_or(|one| one.next >= one.run.offsets.len())
        };
        if is_done(&self.current) && !self.advance()? {
            self.current = None;
            let has_ended = self.ended == self.plan.topics.len();
            return Ok(if has_ended { Next::End } else { Next::Nothing(None) });
        }
        let current = self.current.as_mut().expect("it was made current just now");
        let split = &mut self.splits[current.lane];
        if !current.is_announced {
            current.is_announced = true;
            return Ok(Next::Lane(split.name.clone(), current.lane));
        }
        let index = current.next;
        current.next += 1;
        let (record, offset) = (current.run.records.get(index), current.run.offsets[index]);
        split.next = offset + 1;
        if record.len() > self.line_bytes_max {
            let beginning = &record[..record.len().min(BEGINNING_BYTES)];
            return Ok(Next::TooLong(beginning, offset, record.len() as u64));
        }
        Ok(match self.plan.record_time {
            true => Next::Timed(record, offset, current.run.timestamps[index]),
            false => Next::Line(record, offset),
        })
    }

    fn position(&self) -> SourcePosition {
        // Those that are not known would be taken for new ones.
        if self.known < self.plan.topics.len() {
            return self.restored.clone();
        }
        let offsets = self.splits.iter().map(|split| (split.name.to_string(), split.next));
        SourcePosition { offsets: offsets.collect(), ..SourcePosition::default() }
    }

    fn lanes(&self) -> usize {
        self.splits.len().max(1)
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_splits_can_be_read_back() {
        assert_eq!(parse_split(&split_name("a.b_c-d", 12)), Some(("a.b_c-d", 12)));
        for name in ["a", "a[", "a[x]", "a]"] {
            assert_eq!(parse_split(name), None, "{name}");
        }
    }
}
