//! Reads one topic in a thread of its own: finds its partitions, assigns them at the offsets where
//! the source goes on, and hands records to the source by the partition.
//!
//! ```text
//! metadata, offsets -> Splits -> wait for the readers of other topics -> poll -> Records
//!                                              every discovery_interval: Splits
//! ```
//! Nothing is read before all topics are known, since a partition that is not known yet would not
//! hold the watermark back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Context, Role, settings};
use super::envelope;
use super::source::split_name;
use crate::env::Stopwatch;
use crate::error::{Error, Result};
use crate::flow::Waker;
use crate::job::plan::kafka::{KafkaSourcePlan, KafkaStart};
use crate::model::{Packed, TIME_NONE};
use crate::wasm::LogSink;

/// How long one request or poll waits before it is looked whether anybody still wants it.
const SLICE: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(100);

/// Records that go to the source at once: as many as this, or so many bytes.
const CHUNK_RECORDS: usize = 4096;
const CHUNK_BYTES: usize = 1 << 20;

/// What a reader tells the source.
#[derive(Debug)]
pub(super) enum Told {
    /// There are more partitions: each with the offset of its next record.
    Splits(Vec<(i32, u64)>),
    /// Records, by partition.
    Records(Vec<Run>),
    /// The topic has been read to where it was to end.
    End,
    /// Reading is over.
    Failed(Error),
}

/// Records of one partition, in order.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub(super) partition: i32,
    pub(super) records: Packed,
    pub(super) offsets: Vec<u64>,
    /// Kafka's own times.
    pub(super) timestamps: Vec<i64>,
}

/// Readers wait here until all of them know their partitions.
#[derive(Debug, Default)]
pub(super) struct Gate {
    arrived: Mutex<usize>,
    all: Condvar,
}

/// What all readers of a source have in common.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) plan: Arc<KafkaSourcePlan>,
    /// Where the source goes on, by split; empty = it begins.
    pub(super) restored: Arc<BTreeMap<String, u64>>,
    pub(super) gate: Arc<Gate>,
    /// Nobody wants any more.
    pub(super) is_closed: Arc<AtomicBool>,
    /// By the index of the topic.
    pub(super) sender: SyncSender<(usize, Told)>,
    pub(super) waker: Waker,
    pub(super) log: LogSink,
}

impl Shared {
    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }

    /// Tells the source. Returns whether it still wants to know.
    fn tell(&self, topic: usize, told: Told) -> bool {
        let sent = self.sender.send((topic, told));
        self.waker.wake();
        sent.is_ok()
    }

    /// Waits until all topics are known. Returns whether they are.
    fn wait_for_others(&self) -> bool {
        let Gate { arrived, all } = &*self.gate;
        let mut arrived = arrived.lock().expect("nobody panics with this lock");
        *arrived += 1;
        all.notify_all();
        while *arrived < self.plan.topics.len() {
            if self.is_closed() {
                return false;
            }
            arrived = all.wait_timeout(arrived, POLL).expect("nobody panics with this lock").0;
        }
        true
    }
}

/// A partition that is read.
struct Split {
    /// The offset after the last record that was told.
    next: i64,
    /// Where reading ends, if it does.
    end: Option<i64>,
}

/// Reads one topic.
struct Reader {
    shared: Shared,
    index: usize,
    topic: String,
    consumer: BaseConsumer<Context>,
    splits: BTreeMap<i32, Split>,
}

/// Reads topic `index` of the plan until it ends, fails, or nobody wants any more.
pub(super) fn read(shared: Shared, index: usize) {
    let failed = Reader::open(shared.clone(), index).and_then(|mut reader| reader.run()).err();
    if let Some(error) = failed {
        shared.tell(index, Told::Failed(error));
    }
}

impl Reader {
    fn open(shared: Shared, index: usize) -> Result<Self> {
        let plan = &shared.plan;
        let mut settings = settings(&plan.client, Role::Consumer)?;
        settings
            .set("group.id", &plan.group)
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", if plan.ends { "true" } else { "false" })
            // An offset that is gone is a loss, which is not passed over.
            .set("auto.offset.reset", "error");
        let context = Context::new(&plan.client, shared.log.clone());
        let consumer = BaseConsumer::from_config_and_context(&settings, context);
        let consumer = consumer.map_err(Context::unmade)?;
        let topic = plan.topics[index].clone();
        Ok(Self { shared, index, topic, consumer, splits: BTreeMap::new() })
    }

    fn context(&self) -> &Context {
        self.consumer.client().context()
    }

    fn run(&mut self) -> Result<()> {
        if !self.begin()? || !self.shared.wait_for_others() {
            return Ok(());
        }
        self.assign()?;
        let mut runs = Vec::new();
        let mut since_discovery = Stopwatch::start();
        while !self.shared.is_closed() {
            let is_over = self.fill(&mut runs)?;
            if !runs.is_empty() {
                let told = Told::Records(std::mem::take(&mut runs));
                if !self.shared.tell(self.index, told) {
                    return Ok(());
                }
            }
            if is_over {
                self.shared.tell(self.index, Told::End);
                return Ok(());
            }
            let interval = self.shared.plan.discovery_interval;
            if interval.is_some_and(|interval| since_discovery.elapsed() >= interval) {
                self.discover()?;
                since_discovery = Stopwatch::start();
            }
        }
        Ok(())
    }

    /// Finds the partitions and where each begins, trying again while brokers cannot be reached.
    /// Returns whether anybody still wants to know.
    fn begin(&mut self) -> Result<bool> {
        let stopwatch = Stopwatch::start();
        loop {
            let why = match self.find_splits() {
                Ok(splits) => {
                    self.context().is_well();
                    self.splits = splits;
                    let known = self.splits.iter().map(|(&id, split)| (id, split.next as u64));
                    return Ok(self.shared.tell(self.index, Told::Splits(known.collect())));
                }
                Err(why) => why,
            };
            // What librdkafka has to say comes as events.
            self.consumer.poll(POLL);
            if let Some(refused) = self.context().refusal() {
                return Err(refused);
            }
            if self.shared.is_closed() {
                return Ok(false);
            }
            let is_over = stopwatch.elapsed() >= self.shared.plan.client.timeout;
            match why {
                NotYet::Never(error) => return Err(error),
                NotYet::Error(error) if is_over => return Err(error),
                NotYet::Error(error) => self.context().warn(&error.message),
                NotYet::Kafka(error) if is_over => {
                    let what = format!("cannot read {:?}: {error}", self.topic);
                    return Err(self.context().failed(&what));
                }
                NotYet::Kafka(error) => self.context().warn_away(&error.to_string()),
            }
        }
    }

    fn find_splits(&self) -> Result<BTreeMap<i32, Split>, NotYet> {
        let mut splits = BTreeMap::new();
        for partition in self.partitions()? {
            splits.insert(partition, self.start(partition)?);
        }
        Ok(splits)
    }

    /// The topic's partitions by now.
    fn partitions(&self) -> Result<Vec<i32>, NotYet> {
        let metadata = self.consumer.fetch_metadata(Some(&self.topic), SLICE)?;
        let topic = metadata.topics().iter().find(|topic| topic.name() == self.topic);
        let found = topic.filter(|topic| topic.error().is_none());
        let partitions: Vec<i32> = found
            .map(|topic| topic.partitions().iter().map(|partition| partition.id()).collect())
            .unwrap_or_default();
        if partitions.is_empty() {
            let code = topic.and_then(|topic| topic.error()).map(RDKafkaErrorCode::from);
            if let Some(code) = code.filter(|&code| {
                !matches!(
                    code,
                    RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition
                )
            }) {
                return Err(KafkaError::MetadataFetch(code).into());
            }
            let message = format!("Kafka has no topic {:?}", self.topic);
            let hint = "make the topic, or look at `topics`";
            return Err(NotYet::Error(Error::input(message).hint(hint)));
        }
        Ok(partitions)
    }

    /// Where a partition begins, and ends.
    fn start(&self, partition: i32) -> Result<Split, NotYet> {
        let (topic, plan) = (self.topic.as_str(), &self.shared.plan);
        let (low, high) = self.consumer.fetch_watermarks(topic, partition, SLICE)?;
        let name = split_name(topic, partition);
        let wanted = |offset: u64| {
            let offset = i64::try_from(offset).unwrap_or(i64::MAX);
            match (low..=high).contains(&offset) {
                true => Ok(offset),
                false if offset < low => Err(NotYet::Never(gone(&name, offset, low, high))),
                // A broker that has just come back may not know yet how far it had come.
                false => Err(NotYet::Error(gone(&name, offset, low, high))),
            }
        };
        let next = match (&plan.start, self.shared.restored.is_empty()) {
            // A partition that was not there before is read whole.
            (_, false) => self.shared.restored.get(&name).map_or(Ok(low), |&at| wanted(at))?,
            (KafkaStart::Earliest, true) => low,
            (KafkaStart::Latest, true) => high,
            (KafkaStart::Timestamp(time), true) => {
                self.first_after(partition, *time)?.unwrap_or(high)
            }
            (KafkaStart::Offsets(offsets), true) => {
                offsets.get(&name).map_or(Ok(low), |&at| wanted(at))?
            }
        };
        Ok(Split { next, end: plan.ends.then_some(high) })
    }

    /// The first record of a time or later; none if there is none yet.
    fn first_after(&self, partition: i32, time: i64) -> Result<Option<i64>, KafkaError> {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset(&self.topic, partition, Offset::Offset(time))?;
        let answer = self.consumer.offsets_for_times(times, SLICE)?;
        let place = answer.find_partition(&self.topic, partition);
        let Some(place) = place else { return Ok(None) };
        place.error()?;
        Ok(match place.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    /// Has librdkafka fetch all partitions from where each is.
    fn assign(&self) -> Result<()> {
        let mut assignment = TopicPartitionList::new();
        let failed = |error: KafkaError| self.context().failed(&error.to_string());
        for (&partition, split) in self.splits.iter().filter(|(_, split)| !split.is_over()) {
            let offset = Offset::Offset(split.next);
            assignment.add_partition_offset(&self.topic, partition, offset).map_err(failed)?;
        }
        self.consumer.assign(&assignment).map_err(failed)
    }

    /// Looks for new partitions.
    fn discover(&mut self) -> Result<()> {
        // What cannot be asked now will be asked again.
        let Ok(partitions) = self.partitions() else { return Ok(()) };
        let mut found = Vec::new();
        let known: Vec<i32> = self.splits.keys().copied().collect();
        for partition in partitions.into_iter().filter(|id| !known.contains(id)) {
            let Ok((low, high)) = self.consumer.fetch_watermarks(&self.topic, partition, SLICE)
            else {
                continue;
            };
            let end = self.shared.plan.ends.then_some(high);
            self.splits.insert(partition, Split { next: low, end });
            found.push((partition, low as u64));
        }
        if found.is_empty() {
            return Ok(());
        }
        self.shared.tell(self.index, Told::Splits(found));
        self.assign()
    }

    /// Takes what has come. Returns whether the topic has been read to its end.
    fn fill(&mut self, runs: &mut Vec<Run>) -> Result<bool> {
        let (mut records, mut bytes) = (0, 0);
        loop {
            if self.splits.values().all(Split::is_over) {
                return Ok(true);
            }
            let wait = if records == 0 { POLL } else { Duration::ZERO };
            let message = match self.consumer.poll(wait) {
                None => return Ok(false),
                Some(Ok(message)) => message,
                Some(Err(error)) => {
                    self.judge(&error)?;
                    if let KafkaError::PartitionEOF(partition) = error
                        && let Some(split) = self.splits.get_mut(&partition)
                    {
                        split.end = split.end.map(|end| end.min(split.next));
                    }
                    continue;
                }
            };
            if records == 0 {
                self.consumer.client().context().is_well();
            }
            let split = self.splits.get_mut(&message.partition());
            let split = split.expect("only partitions that are known are assigned");
            if let Some(end) = split.end
                && message.offset() >= end
            {
                // Nothing comes any more that is before the end.
                split.end = Some(split.next);
                continue;
            }
            split.next = message.offset() + 1;
            bytes += push(runs, &message, self.shared.plan.envelope);
            records += 1;
            if records >= CHUNK_RECORDS || bytes >= CHUNK_BYTES {
                return Ok(false);
            }
        }
    }

    /// Fails if trying again is of no use. All else is librdkafka's business.
    fn judge(&self, error: &KafkaError) -> Result<()> {
        if let Some(refused) = self.context().refusal() {
            return Err(refused);
        }
        match error {
            KafkaError::MessageConsumptionFatal(code) => {
                Err(self.context().failed(&format!("cannot read {:?}: {code}", self.topic)))
            }
            KafkaError::MessageConsumption(
                RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
            ) => Err(self.lost()),
            _ => Ok(()),
        }
    }

    /// Which records are gone before they were read.
    fn lost(&self) -> Error {
        for (&partition, split) in &self.splits {
            let asked = self.consumer.fetch_watermarks(&self.topic, partition, SLICE);
            if let Ok((low, high)) = asked
                && !(low..=high).contains(&split.next)
            {
                return gone(&split_name(&self.topic, partition), split.next, low, high);
            }
        }
        let message = format!("records of {:?} are gone before they were read", self.topic);
        Error::input(message).hint(GONE_HINT)
    }
}

impl Split {
    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| self.next >= end)
    }
}

/// Why a partition's beginning is not known yet.
enum NotYet {
    Kafka(KafkaError),
    /// Something that may pass, as a topic that is just being made.
    Error(Error),
    /// Something that will not.
    Never(Error),
}

impl From<KafkaError> for NotYet {
    fn from(error: KafkaError) -> Self {
        Self::Kafka(error)
    }
}

const GONE_HINT: &str = "keep records longer (`retention.ms` of the topic); `--restore none` or \
                         another checkpoint begins elsewhere, without them";

fn gone(split: &str, offset: i64, low: i64, high: i64) -> Error {
    let message = format!(
        "the source is to go on at offset {offset} of {split}, which has {low} up to {high} only"
    );
    Error::input(message).hint(GONE_HINT)
}

/// Adds a message to the run of its partition. Returns its length.
fn push(runs: &mut Vec<Run>, message: &BorrowedMessage<'_>, in_envelope: bool) -> usize {
    let partition = message.partition();
    let index = runs.iter().position(|run| run.partition == partition).unwrap_or_else(|| {
        runs.push(Run { partition, ..Run::default() });
        runs.len() - 1
    });
    let run = &mut runs[index];
    let before = run.records.bytes.len();
    match in_envelope {
        true => {
            envelope::write(&mut run.records.bytes, message);
            run.records.seal();
        }
        // Without a value it is an empty record.
        false => run.records.push(message.payload().unwrap_or_default()),
    }
    run.offsets.push(message.offset() as u64);
    run.timestamps.push(message.timestamp().to_millis().unwrap_or(TIME_NONE));
    run.records.bytes.len() - before
}
