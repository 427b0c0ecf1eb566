//! What talks to the world outside: one file a connector.

pub(super) mod file;
pub(super) mod file_sink;
pub(crate) mod function;
pub mod generator;
#[cfg(feature = "kafka")]
pub(super) mod kafka;
mod line_buffer;
pub(super) mod log_sink;
#[cfg(feature = "mysql")]
pub(super) mod mysql;
mod retry;
mod socket;
pub(super) mod stdout;
pub(super) mod stream;

use std::sync::Arc;

use super::Waker;
use crate::checkpoint::Monitor;
use crate::checkpoint::manifest::SourcePosition;
use crate::env::Clock;
use crate::error::Result;
use crate::job::plan::{SourceConnector, SourcePlan};
use crate::wasm::LogSink;

/// What a source's connector gives next.
#[derive(Debug)]
pub enum Next<'a> {
    /// A line without its end, and its number within the split, counted from 1.
    Line(&'a [u8], u64),
    /// A line that is longer than the source takes: its beginning, its number, and its bytes in
    /// all.
    TooLong(&'a [u8], u64, u64),
    /// A line, its number, and its event time, which whoever brought it knows.
    Timed(&'a [u8], u64, i64),
    /// Lines to come are from another split.
    Split(Arc<str>),
    /// Lines to come are from another split, which is the lane of this index.
    Lane(Arc<str>, usize),
    /// Nothing now; somebody wakes the source, or it asks again at this processing time.
    Nothing(Option<i64>),
    /// Nothing ever again.
    End,
}

/// Where a source's records come from.
pub trait Connector: Send {
    /// The next line or event. Does not block for longer than a read from a disk.
    ///
    /// # Errors
    /// If the outside world fails. The connector is of no use any more.
    fn next(&mut self, now: i64) -> Result<Next<'_>>;

    /// Where it goes on after the last line that was given out.
    fn position(&self) -> SourcePosition;

    /// How many splits are read at a time, each with a watermark of its own. Never falls.
    fn lanes(&self) -> usize {
        1
    }
}

/// Opens what a source reads, at its start or where a checkpoint says. `waker` wakes the source's
/// task; `log` takes what a function logs.
///
/// # Errors
/// If it cannot be opened, or is not what it was when the checkpoint was taken.
pub fn open_source(
    plan: &SourcePlan,
    waker: &Waker,
    clock: &Arc<dyn Clock>,
    log: LogSink,
    restored: Option<&SourcePosition>,
) -> Result<Box<dyn Connector>> {
    let start = SourcePosition::default();
    let from = restored.unwrap_or(&start);
    Ok(match &plan.connector {
        SourceConnector::File(files) => {
            let now = clock.now_ms();
            Box::new(file::Files::open(files, plan.line_bytes_max, waker, log, now, from)?)
        }
        SourceConnector::Stdin => {
            Box::new(stream::Stream::stdin(plan.line_bytes_max, waker, log, from)?)
        }
        SourceConnector::Socket(socket) => {
            Box::new(socket::open(socket, plan.line_bytes_max, waker, log, from)?)
        }
        #[cfg(feature = "kafka")]
        SourceConnector::Kafka(kafka) => {
            let longest = plan.line_bytes_max;
            Box::new(kafka::KafkaSource::open(kafka, longest, waker, log, from)?)
        }
        #[cfg(not(feature = "kafka"))]
        SourceConnector::Kafka(_) => return Err(without_kafka()),
        SourceConnector::Generator(settings) => {
            let settings = settings.clone();
            Box::new(generator::Generator::new(&plan.id, settings, clock.now_ms(), restored))
        }
        #[cfg(feature = "mysql")]
        SourceConnector::Mysql(mysql) => {
            Box::new(mysql::MysqlSource::open(plan, mysql, waker, log, from)?)
        }
        #[cfg(not(feature = "mysql"))]
        SourceConnector::Mysql(_) => unreachable!("check refuses MySQL without its feature"),
        SourceConnector::Function(function) => {
            Box::new(function::FunctionSource::open(&plan.id, function, log, restored)?)
        }
    })
}

/// Who tells an external system how far a source has come, if that is wanted. `log` takes warnings.
#[cfg_attr(not(feature = "kafka"), allow(unused_variables))]
pub fn open_monitor(plan: &SourcePlan, log: &LogSink) -> Option<Arc<dyn Monitor>> {
    match &plan.connector {
        #[cfg(feature = "kafka")]
        SourceConnector::Kafka(kafka) if kafka.commits_offsets => {
            Some(Arc::new(kafka::KafkaMonitor::new((**kafka).clone(), log.clone())))
        }
        _ => None,
    }
}

/// What a build without the feature `kafka` says, whose `check` has said so before.
#[cfg(not(feature = "kafka"))]
pub(super) fn without_kafka() -> crate::error::Error {
    crate::error::Error::input("this tidegate is built without Kafka")
        .hint("build tidegate with its default features")
}
