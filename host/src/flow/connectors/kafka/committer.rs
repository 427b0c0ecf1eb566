//! Brings the logs of an exactly-once sink to Kafka: one transaction for each barrier.
//!
//! The marker travels in the same transaction, as the offset of a consumer group that nobody reads
//! with: group `<transactional id>`, partition 0 of the topic, offset = the barrier, metadata = the
//! attempt. `init_transactions` shuts out every earlier producer of the same transactional id and
//! ends what it left open, one way or the other; after that the group's offset tells which.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Context, Role, settings};
use super::message::with_message;
use crate::checkpoint::{Committer, Logs, Marker};
use crate::env::Stopwatch;
use crate::error::{Error, Result};
use crate::job::plan::kafka::KafkaSinkPlan;
use crate::wasm::LogSink;

/// How long one request waits before it is looked whether there is a reason to give up.
const SLICE: Duration = Duration::from_secs(1);

/// How long to wait for room when librdkafka's queue is full.
const QUEUE_WAIT: Duration = Duration::from_millis(10);

/// Commits the logs of a sink.
pub(in crate::flow) struct KafkaCommitter {
    plan: KafkaSinkPlan,
    log: LogSink,
    client: Option<Client>,
}

/// A producer that has shut out all others, and what knows the marker.
struct Client {
    producer: BaseProducer<Context>,
    markers: BaseConsumer<Context>,
    /// What was committed last, once it has been read.
    committed: Option<Option<Marker>>,
}

/// Why a commit did not come to its end.
enum Failure {
    /// Nothing that trying again would mend.
    Final(Error),
    /// The transaction may be there or not.
    Unknown(KafkaError),
}

impl KafkaCommitter {
    /// A committer that connects when it is first needed. `log` takes warnings.
    pub(in crate::flow) fn new(plan: KafkaSinkPlan, log: LogSink) -> Self {
        Self { plan, log, client: None }
    }

    /// Makes the clients, and shuts out whoever wrote with the same transactional id.
    fn connect(&mut self, stopwatch: &Stopwatch) -> Result<&mut Client> {
        if self.client.is_none() {
            let KafkaSinkPlan { client: plan, transactional_id, .. } = &self.plan;
            let mut producer = settings(plan, Role::Producer)?;
            producer.set("transactional.id", transactional_id);
            let mut consumer = settings(plan, Role::Consumer)?;
            consumer.set("group.id", transactional_id).set("enable.auto.commit", "false");
            // What a transaction that is being committed will say counts.
            consumer.set("isolation.level", "read_committed");
            let context = Context::new(plan, self.log.clone());
            let producer = BaseProducer::from_config_and_context(&producer, context.clone());
            let producer = producer.map_err(Context::unmade)?;
            let markers = BaseConsumer::from_config_and_context(&consumer, context);
            let markers = markers.map_err(Context::unmade)?;
            self.shut_out_others(&producer, stopwatch)?;
            self.client = Some(Client { producer, markers, committed: None });
        }
        Ok(self.client.as_mut().expect("it was made just now"))
    }

    fn shut_out_others(
        &self,
        producer: &BaseProducer<Context>,
        stopwatch: &Stopwatch,
    ) -> Result<()> {
        let context = producer.client().context();
        loop {
            let error = match producer.init_transactions(SLICE) {
                Ok(()) => {
                    context.is_well();
                    return Ok(());
                }
                Err(error) => error,
            };
            // Errors come as events.
            producer.poll(QUEUE_WAIT);
            if let Some(refused) = context.refusal() {
                return Err(refused);
            }
            let KafkaError::Transaction(error) = &error else {
                return Err(context.failed(&error.to_string()));
            };
            if !error.is_retriable() || stopwatch.elapsed() >= self.plan.client.timeout {
                let id = &self.plan.transactional_id;
                let what = format!("cannot begin transactions as {id:?}: {}", error.string());
                return Err(context.failed(&what));
            }
            context.warn_away(&error.string());
        }
    }

    fn read_marker(&mut self, stopwatch: &Stopwatch) -> Result<Option<Marker>> {
        let (topic, timeout) = (self.plan.topic.clone(), self.plan.client.timeout);
        let client = self.connect(stopwatch)?;
        if let Some(known) = &client.committed {
            return Ok(known.clone());
        }
        let context = client.markers.client().context().clone();
        loop {
            let mut asked = TopicPartitionList::new();
            asked.add_partition(&topic, 0);
            let error = match client.markers.committed_offsets(asked, SLICE) {
                Ok(answer) => {
                    let marker = marker_of(&answer, &topic)
                        .map_err(|error| context.failed(&format!("no marker: {error}")))?;
                    client.committed = Some(marker.clone());
                    return Ok(marker);
                }
                Err(error) => error,
            };
            client.markers.poll(Duration::ZERO);
            if let Some(refused) = context.refusal() {
                return Err(refused);
            }
            if stopwatch.elapsed() >= timeout {
                return Err(context.failed(&format!("cannot tell what is committed: {error}")));
            }
            context.warn_away(&error.to_string());
        }
    }

    /// One transaction with all records and the marker.
    fn try_commit(
        &mut self,
        marker: &Marker,
        logs: &Logs<'_>,
        stopwatch: &Stopwatch,
    ) -> Result<(), Failure> {
        let plan = &self.plan;
        let left = || plan.client.timeout.saturating_sub(stopwatch.elapsed()).max(SLICE);
        let Client { producer, markers, .. } =
            self.client.as_mut().expect("a commit begins with a look at the marker");
        producer.begin_transaction().map_err(Failure::Unknown)?;
        let mut failed = None;
        let sent = logs.for_each(&mut |record| {
            with_message(&plan.shape, &plan.topic, record.value, record.timestamp, |message| {
                send(producer, message, left()).map_err(|cause| {
                    // Only tells the loop to end: what matters is the cause.
                    failed = Some(cause);
                    Error::storage("a record could not be sent")
                })
            })
        });
        match (sent, failed) {
            (_, Some(cause)) => return Err(Failure::Unknown(cause)),
            (Err(error), None) => return Err(Failure::Final(error)),
            (Ok(()), None) => {}
        }
        let mut offsets = TopicPartitionList::new();
        let barrier = i64::try_from(marker.checkpoint).expect("barriers are counted from 1");
        let added = offsets.add_partition_offset(&plan.topic, 0, Offset::Offset(barrier));
        added.map_err(Failure::Unknown)?;
        if let Some(mut place) = offsets.find_partition(&plan.topic, 0) {
            place.set_metadata(&marker.attempt);
        }
        let group = markers.group_metadata().expect("the consumer has a group");
        producer
            .flush(left())
            .and_then(|()| producer.send_offsets_to_transaction(&offsets, &group, left()))
            .and_then(|()| producer.commit_transaction(left()))
            .map_err(Failure::Unknown)
    }

    /// What a failure means; none if it is worth trying again.
    fn judge(&self, error: &KafkaError) -> Option<Error> {
        let context = self.client.as_ref()?.producer.client().context();
        let code = match error {
            KafkaError::Transaction(error) => error.code(),
            other => other.rdkafka_error_code()?,
        };
        if matches!(
            code,
            RDKafkaErrorCode::Fenced
                | RDKafkaErrorCode::InvalidProducerEpoch
                | RDKafkaErrorCode::TransactionCoordinatorFenced
        ) {
            let id = &self.plan.transactional_id;
            let message = format!("another process writes to Kafka as {id:?}, or took its place");
            let hint = "a job runs once at a time, and jobs that write to the same cluster have \
                        names of their own; start this one again if it is the right one";
            return Some(Error::input(message).hint(hint));
        }
        if code == RDKafkaErrorCode::MessageSizeTooLarge {
            let error = Error::input(format!("a record is too large for Kafka: {error}"));
            return Some(error.hint(
                "raise `message.max.bytes` in the sink's `properties` and in the topic's settings",
            ));
        }
        context.refusal()
    }
}

impl Committer for KafkaCommitter {
    fn claim(&mut self) -> Result<()> {
        // What another process has claimed since is claimed anew.
        self.client = None;
        self.connect(&Stopwatch::start()).map(drop)
    }

    fn committed(&mut self) -> Result<Option<Marker>> {
        self.read_marker(&Stopwatch::start())
    }

    fn commit(&mut self, marker: &Marker, logs: &Logs<'_>) -> Result<()> {
        let stopwatch = Stopwatch::start();
        self.connect(&stopwatch)?;
        loop {
            let error = match self.try_commit(marker, logs, &stopwatch) {
                Ok(()) => {
                    let client = self.client.as_mut().expect("it has just committed");
                    client.committed = Some(Some(marker.clone()));
                    client.producer.client().context().is_well();
                    return Ok(());
                }
                Err(Failure::Final(error)) => {
                    // The next claim undoes what was sent.
                    self.client = None;
                    return Err(error);
                }
                Err(Failure::Unknown(error)) => error,
            };
            let verdict = self.judge(&error);
            let client = self.client.take().expect("it has just failed");
            let context = client.producer.client().context().clone();
            let undelivered = context.take_undelivered();
            drop(client);
            if let Some(verdict) = verdict {
                return Err(verdict);
            }
            if stopwatch.elapsed() >= self.plan.client.timeout {
                let checkpoint = marker.checkpoint;
                let what = format!("cannot commit the output of checkpoint {checkpoint}: {error}");
                return Err(undelivered.unwrap_or_else(|| context.failed(&what)));
            }
            context.warn_away(&error.to_string());
            // A new client ends the transaction, one way or the other.
            if self.read_marker(&stopwatch)?.as_ref() == Some(marker) {
                return Ok(());
            }
        }
    }
}

/// Sends a message, waiting for room.
fn send(
    producer: &BaseProducer<Context>,
    mut message: BaseRecord<'_, [u8], [u8]>,
    timeout: Duration,
) -> Result<(), KafkaError> {
    let stopwatch = Stopwatch::start();
    loop {
        match producer.send(message) {
            Ok(()) => return Ok(()),
            Err((error, again))
                if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
                    && stopwatch.elapsed() < timeout =>
            {
                message = again;
                producer.poll(QUEUE_WAIT);
            }
            Err((error, _)) => return Err(error),
        }
    }
}

fn marker_of(answer: &TopicPartitionList, topic: &str) -> Result<Option<Marker>, KafkaError> {
    let Some(place) = answer.find_partition(topic, 0) else { return Ok(None) };
    place.error()?;
    Ok(match place.offset() {
        Offset::Offset(barrier) => u64::try_from(barrier)
            .ok()
            .map(|checkpoint| Marker { checkpoint, attempt: place.metadata().to_owned() }),
        _ => None,
    })
}
