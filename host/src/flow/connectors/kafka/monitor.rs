//! Tells Kafka how far a source has come with each checkpoint, for those who watch the lag of its
//! group. The job itself never reads this back.

use std::sync::Mutex;

use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::client::{Context, Role, settings};
use super::source::parse_split;
use crate::checkpoint::Monitor;
use crate::checkpoint::manifest::SourcePosition;
use crate::error::Result;
use crate::job::plan::kafka::KafkaSourcePlan;
use crate::wasm::{LogLevel, LogSink};

/// Commits offsets for the group of a source.
pub(in crate::flow) struct KafkaMonitor {
    plan: KafkaSourcePlan,
    log: LogSink,
    consumer: Mutex<Option<BaseConsumer<Context>>>,
}

impl KafkaMonitor {
    /// A monitor that connects with the first checkpoint. `log` takes warnings.
    pub(in crate::flow) fn new(plan: KafkaSourcePlan, log: LogSink) -> Self {
        Self { plan, log, consumer: Mutex::default() }
    }

    fn commit(&self, position: &SourcePosition) -> Result<()> {
        let mut offsets = TopicPartitionList::new();
        for (split, offset) in &position.offsets {
            let place = parse_split(split).zip(i64::try_from(*offset).ok());
            if let Some(((topic, partition), offset)) = place {
                // It only fails for offsets that are none.
                let _ = offsets.add_partition_offset(topic, partition, Offset::Offset(offset));
            }
        }
        if offsets.count() == 0 {
            return Ok(());
        }
        let mut consumer = self.consumer.lock().expect("nobody panics with this lock");
        let consumer = match &mut *consumer {
            Some(consumer) => consumer,
            none => none.insert(self.open()?),
        };
        // Serves what librdkafka has to say.
        consumer.poll(std::time::Duration::ZERO);
        let committed = consumer.commit(&offsets, CommitMode::Async);
        committed.map_err(|error| consumer.client().context().failed(&error.to_string()))
    }

    fn open(&self) -> Result<BaseConsumer<Context>> {
        let mut settings = settings(&self.plan.client, Role::Consumer)?;
        settings.set("group.id", &self.plan.group).set("enable.auto.commit", "false");
        let context = Context::new(&self.plan.client, self.log.clone());
        BaseConsumer::from_config_and_context(&settings, context).map_err(Context::unmade)
    }
}

impl Monitor for KafkaMonitor {
    fn completed(&self, position: &SourcePosition) {
        if let Err(error) = self.commit(position) {
            let group = &self.plan.group;
            let line = format!("cannot tell group {group:?} its offsets: {}", error.full_text());
            self.log.write(LogLevel::Warn, &line);
        }
    }
}
