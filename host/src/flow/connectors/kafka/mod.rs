//! Kafka, through librdkafka.
//!
//! ```text
//! source   one reader, a thread with a consumer of its own, for each topic; partitions are
//!          assigned by hand, and where each goes on is in the job's checkpoints
//! sink     exactly-once: logs in the checkpoint storage, which `committer` replays in transactions
//!          at-least-once: `writer`, a producer in the task, flushed at each barrier
//! monitor  commits the source's offsets after each checkpoint, for those who watch the group
//! ```
//! Reconnecting is librdkafka's. What it says meanwhile goes through `client`.

mod client;
mod committer;
mod envelope;
mod message;
mod monitor;
mod reader;
mod source;
mod writer;

pub use client::{Role, check_properties};
pub(in crate::flow) use committer::KafkaCommitter;
pub(in crate::flow) use monitor::KafkaMonitor;
pub(in crate::flow) use source::KafkaSource;
pub(in crate::flow) use writer::KafkaWriter;

use crate::flow::connectors::log_sink::CheckBatch;
use crate::job::plan::kafka::KafkaSinkPlan;

/// Refuses records that would be no messages of a sink.
pub(in crate::flow) fn check_batches(plan: &KafkaSinkPlan) -> CheckBatch {
    let (topic, shape) = (plan.topic.clone(), plan.shape.clone());
    Box::new(move |batch| message::check(&topic, &shape, batch))
}
