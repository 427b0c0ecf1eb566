//! Sinks: writers within the task whose records they take.

use std::sync::Arc;

use super::connectors::file_sink::{FileSettings, FileWriter};
#[cfg(feature = "kafka")]
use super::connectors::kafka::{self, KafkaCommitter, KafkaWriter};
use super::connectors::log_sink::{CheckBatch, LogSettings, LogSinkWriter};
use super::connectors::stdout::StdoutWriter;
use super::{NodeMetrics, StopFlag};
use crate::checkpoint::manifest::PreparedOutput;
use crate::checkpoint::{LoggedSink, Storage, StorageWriter};
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::job::plan::{SinkConnector, SinkPlan};
use crate::model::Batch;
use crate::wasm::LogSink;

/// Output that a barrier has cut off: written, not yet durable, invisible until it is committed.
pub struct PreparedFile {
    /// None if it is durable already.
    pub(super) writer: Option<Box<dyn StorageWriter>>,
    pub(super) output: PreparedOutput,
    /// The folder, for messages.
    pub(super) place: String,
}

impl PreparedFile {
    /// Makes it durable.
    ///
    /// # Errors
    /// If its folder fails: the output is lost.
    pub(super) fn finish(self) -> Result<PreparedOutput> {
        let finished = self.writer.map_or(Ok(()), |writer| writer.finish());
        finished.map_err(|cause| {
            Error::storage(format!("cannot complete output in {}", self.place)).caused_by(cause)
        })?;
        Ok(self.output)
    }
}

/// What one partition of a sink is made of.
pub struct SinkSettings {
    /// Which partition.
    pub partition: u32,
    /// The folder that it writes to, if it writes files.
    pub folder: Option<Arc<dyn Storage>>,
    /// Where its logs lie, if it writes any.
    pub logs: Option<Arc<dyn Storage>>,
    /// No other attempt to run the job has the same.
    pub attempt: String,
    /// The barrier after which it begins; 0 = the start of the job.
    pub after: u64,
    /// Whether the job takes checkpoints.
    pub checkpoints: bool,
    /// Tells processing time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<NodeMetrics>,
    /// Asks the job to stop when nobody reads the output any more.
    pub stop: Arc<StopFlag>,
    /// Takes warnings.
    pub log: LogSink,
}

/// The writer of one partition of a sink.
pub struct SinkWriter {
    writer: Writer,
    metrics: Arc<NodeMetrics>,
}

enum Writer {
    File(FileWriter),
    #[cfg_attr(not(feature = "kafka"), allow(dead_code))]
    Log(LogSinkWriter),
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaWriter>),
    Stdout(StdoutWriter),
    Discard,
}

/// Opens one partition of a sink.
///
/// # Errors
/// If its file cannot be made.
#[cfg_attr(not(feature = "kafka"), allow(unused_variables))]
pub fn open_sink(plan: &SinkPlan, settings: SinkSettings) -> Result<SinkWriter> {
    let SinkSettings {
        partition,
        folder,
        logs,
        attempt,
        after,
        checkpoints,
        clock,
        metrics,
        stop,
        log,
    } = settings;
    let log_of = |check: CheckBatch| {
        let storage = logs.expect("a sink with a committer has a place for logs");
        let sink = plan.id.clone();
        Writer::Log(LogSinkWriter::new(LogSettings {
            sink,
            storage,
            partition,
            after,
            attempt,
            check,
        }))
    };
    let writer = match &plan.connector {
        SinkConnector::File { shape, .. } => {
            let mut writer = FileWriter::new(FileSettings {
                sink: plan.id.clone(),
                folder: folder.expect("a file sink has a folder"),
                partition,
                after,
                numbered: checkpoints,
                shape: shape.clone(),
                clock,
            });
            writer.open()?;
            Writer::File(writer)
        }
        #[cfg(feature = "kafka")]
        SinkConnector::Kafka(plan) if plan.exactly_once => log_of(kafka::check_batches(plan)),
        #[cfg(feature = "kafka")]
        SinkConnector::Kafka(plan) => {
            Writer::Kafka(Box::new(KafkaWriter::open((**plan).clone(), stop, log)?))
        }
        #[cfg(not(feature = "kafka"))]
        SinkConnector::Kafka(_) => return Err(super::connectors::without_kafka()),
        SinkConnector::Stdout => Writer::Stdout(StdoutWriter::new(stop)),
        SinkConnector::Discard => Writer::Discard,
    };
    Ok(SinkWriter { writer, metrics })
}

/// Who brings a sink's logs to an external system, if it writes any. `log` takes warnings.
#[cfg_attr(not(feature = "kafka"), allow(unused_variables))]
pub fn open_committer(
    plan: &SinkPlan,
    storage: &Arc<dyn Storage>,
    log: &LogSink,
) -> Option<LoggedSink> {
    match &plan.connector {
        #[cfg(feature = "kafka")]
        SinkConnector::Kafka(kafka) if kafka.exactly_once => {
            let committer = KafkaCommitter::new((**kafka).clone(), log.clone());
            Some(LoggedSink::new(storage.clone(), committer))
        }
        _ => None,
    }
}

impl SinkWriter {
    /// Writes the records of a batch, a line each.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<()> {
        NodeMetrics::add(&self.metrics.records_in, batch.len());
        match &mut self.writer {
            Writer::File(file) => file.write(batch),
            Writer::Log(log) => log.write(batch),
            #[cfg(feature = "kafka")]
            Writer::Kafka(kafka) => kafka.write(batch),
            Writer::Stdout(stdout) => stdout.write(batch),
            Writer::Discard => Ok(()),
        }
    }

    /// Makes what was written visible, where it becomes visible record by record.
    pub(super) fn flush(&mut self) -> Result<()> {
        match &mut self.writer {
            Writer::Stdout(stdout) => stdout.flush(),
            #[cfg(feature = "kafka")]
            Writer::Kafka(kafka) => kafka.pump(),
            Writer::File(_) | Writer::Log(_) | Writer::Discard => Ok(()),
        }
    }

    /// Cuts the output at a barrier: what came before is prepared to be committed.
    pub(super) fn prepare(&mut self, barrier: u64) -> Result<Vec<PreparedFile>> {
        match &mut self.writer {
            Writer::File(file) => file.prepare(barrier),
            Writer::Log(log) => log.prepare(barrier),
            #[cfg(feature = "kafka")]
            Writer::Kafka(kafka) => kafka.flush().map(|()| Vec::new()),
            Writer::Stdout(_) | Writer::Discard => Ok(Vec::new()),
        }
    }
}

/// Appends the records of a batch to `bytes`, a line each.
pub(super) fn append_lines(bytes: &mut Vec<u8>, batch: &Batch) {
    bytes.reserve(batch.values.bytes.len() + batch.len());
    for value in batch.values.iter() {
        bytes.extend_from_slice(value);
        bytes.push(b'\n');
    }
}
