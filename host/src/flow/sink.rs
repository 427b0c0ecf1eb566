//! Sinks: writers within the task whose records they take.

use std::sync::Arc;

use super::connectors::file_sink::{FileSettings, FileWriter};
#[cfg(feature = "kafka")]
use super::connectors::kafka::{self, KafkaCommitter, KafkaWriter};
use super::connectors::log_sink::{CheckBatch, LogSettings, LogSinkWriter};
#[cfg(feature = "mysql")]
use super::connectors::mysql::{MysqlCommitter, MysqlWriter};
use super::connectors::stdout::StdoutWriter;
use super::{NodeMetrics, StopFlag, Waker};
use crate::checkpoint::manifest::PreparedOutput;
use crate::checkpoint::{LoggedSink, Storage, StorageWriter};
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::job::plan::{SinkConnector, SinkPlan};
use crate::model::Batch;
use crate::wasm::LogSink;

/// Output that a barrier has cut off.
pub enum Prepared {
    /// It becomes visible with the checkpoint.
    File(PreparedFile),
    /// It is on its way, and is written when this returns.
    Written(Box<dyn FnOnce() -> Result<()> + Send>),
}

impl Prepared {
    /// Makes it durable, and returns what has to be committed.
    ///
    /// # Errors
    /// If where it goes fails: the output is lost.
    pub(super) fn finish(self) -> Result<Option<PreparedOutput>> {
        match self {
            Self::File(file) => file.finish().map(Some),
            Self::Written(wait) => wait().map(|()| None),
        }
    }
}

/// Output that is written, not yet durable, invisible until it is committed.
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
    fn finish(self) -> Result<PreparedOutput> {
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
    /// Wakes the task that it runs in.
    pub waker: Waker,
    /// Where it says what its connection comes to.
    pub log: LogSink,
    /// Tells processing time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<NodeMetrics>,
    /// Asks the job to stop when nobody reads the output any more.
    pub stop: Arc<StopFlag>,
}

/// The writer of one partition of a sink.
pub struct SinkWriter {
    writer: Writer,
    metrics: Arc<NodeMetrics>,
}

#[expect(clippy::large_enum_variant, reason = "one for each partition of a sink")]
enum Writer {
    File(FileWriter),
    #[cfg_attr(not(feature = "kafka"), allow(dead_code))]
    Log(LogSinkWriter),
    #[cfg(feature = "kafka")]
    Kafka(Box<KafkaWriter>),
    Stdout(StdoutWriter),
    Discard,
    #[cfg(feature = "mysql")]
    Mysql(MysqlWriter),
}

/// Who brings the logs of a sink to its system; none if it writes none. `storage` holds the logs,
/// `stop` ends every wait for the system.
///
/// # Errors
/// If the environment lacks what is needed to reach the system.
pub fn open_logged_sink(
    job: &str,
    sink: &SinkPlan,
    storage: &Arc<dyn Storage>,
    log: &LogSink,
    stop: &Arc<StopFlag>,
) -> Result<Option<LoggedSink>> {
    match &sink.connector {
        #[cfg(feature = "kafka")]
        SinkConnector::Kafka(kafka) if kafka.exactly_once => {
            let committer = KafkaCommitter::new((**kafka).clone(), log.clone());
            Ok(Some(LoggedSink::new(storage.clone(), committer)))
        }
        #[cfg(feature = "mysql")]
        SinkConnector::Mysql(plan) => {
            let (log, stop) = (log.clone(), stop.clone());
            let committer = MysqlCommitter::new(job, &sink.id, plan, log, stop)?;
            Ok(Some(LoggedSink::new(storage.clone(), committer)))
        }
        _ => Ok(None),
    }
}

/// Opens one partition of a sink.
///
/// # Errors
/// If its file cannot be made.
#[cfg_attr(not(feature = "kafka"), allow(unused_variables))]
pub fn open_sink(plan: &SinkPlan, settings: SinkSettings) -> Result<SinkWriter> {
    let (partition, after, metrics) =
        (settings.partition, settings.after, settings.metrics.clone());
    let writer = match &plan.connector {
        SinkConnector::File { shape, .. } => {
            let mut writer = FileWriter::new(FileSettings {
                sink: plan.id.clone(),
                folder: settings.folder.expect("a file sink has a folder"),
                partition,
                after,
                numbered: settings.checkpoints,
                shape: shape.clone(),
                clock: settings.clock,
            });
            writer.open()?;
            Writer::File(writer)
        }
        #[cfg(feature = "kafka")]
        SinkConnector::Kafka(kafka) if kafka.exactly_once => {
            let logs = settings.logs.clone().expect("a sink with a committer has logs");
            let check = kafka::check_batches(kafka);
            Writer::Log(log_writer(&plan.id, logs, &settings, check))
        }
        #[cfg(feature = "kafka")]
        SinkConnector::Kafka(kafka) => {
            let writer = KafkaWriter::open((**kafka).clone(), settings.stop, settings.log)?;
            Writer::Kafka(Box::new(writer))
        }
        #[cfg(not(feature = "kafka"))]
        SinkConnector::Kafka(_) => return Err(super::connectors::without_kafka()),
        SinkConnector::Stdout => Writer::Stdout(StdoutWriter::new(settings.stop)),
        SinkConnector::Discard => Writer::Discard,
        #[cfg(feature = "mysql")]
        SinkConnector::Mysql(mysql) => Writer::Mysql(open_mysql(&plan.id, mysql, settings)?),
        #[cfg(not(feature = "mysql"))]
        SinkConnector::Mysql(_) => unreachable!("check refuses MySQL without its feature"),
    };
    Ok(SinkWriter { writer, metrics })
}

/// A writer of the logs of one partition. `check` refuses what the system would not take.
#[cfg(any(feature = "kafka", feature = "mysql"))]
fn log_writer(
    sink: &str,
    storage: Arc<dyn Storage>,
    settings: &SinkSettings,
    check: CheckBatch,
) -> LogSinkWriter {
    let SinkSettings { partition, after, .. } = *settings;
    let (sink, attempt) = (sink.to_owned(), settings.attempt.clone());
    LogSinkWriter::new(LogSettings { sink, storage, partition, after, attempt, check })
}

#[cfg(feature = "mysql")]
fn open_mysql(
    id: &str,
    plan: &crate::job::plan::MysqlSinkPlan,
    settings: SinkSettings,
) -> Result<MysqlWriter> {
    let Some(storage) = settings.logs.clone() else {
        return MysqlWriter::direct(id, plan, &settings.waker, settings.log);
    };
    // The writer of the table looks at records itself.
    let log = log_writer(id, storage, &settings, Box::new(|_| Ok(())));
    Ok(MysqlWriter::logged(id, plan, log))
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
            #[cfg(feature = "mysql")]
            Writer::Mysql(mysql) => mysql.write(batch),
        }
    }

    /// Hands on what waits, where that may take a while. Returns whether there is room for more; if
    /// not, the task is woken later.
    pub(super) fn send(&mut self) -> bool {
        match &mut self.writer {
            #[cfg(feature = "mysql")]
            Writer::Mysql(mysql) => mysql.send(),
            #[cfg(feature = "kafka")]
            Writer::Kafka(_) => true,
            Writer::File(_) | Writer::Log(_) | Writer::Stdout(_) | Writer::Discard => true,
        }
    }

    /// Makes what was written visible, where it becomes visible record by record.
    pub(super) fn flush(&mut self) -> Result<()> {
        match &mut self.writer {
            Writer::Stdout(stdout) => stdout.flush(),
            #[cfg(feature = "kafka")]
            Writer::Kafka(kafka) => kafka.pump(),
            Writer::File(_) | Writer::Log(_) | Writer::Discard => Ok(()),
            #[cfg(feature = "mysql")]
            Writer::Mysql(mysql) => mysql.flush(),
        }
    }

    /// Cuts the output at a barrier: what came before is prepared to be committed.
    pub(super) fn prepare(&mut self, barrier: u64) -> Result<Vec<Prepared>> {
        match &mut self.writer {
            Writer::File(file) => {
                Ok(file.prepare(barrier)?.into_iter().map(Prepared::File).collect())
            }
            Writer::Log(log) => Ok(log.prepare(barrier)?.map(Prepared::File).into_iter().collect()),
            #[cfg(feature = "kafka")]
            Writer::Kafka(kafka) => kafka.flush().map(|()| Vec::new()),
            Writer::Stdout(_) | Writer::Discard => Ok(Vec::new()),
            #[cfg(feature = "mysql")]
            Writer::Mysql(mysql) => Ok(mysql.prepare(barrier)?.into_iter().collect()),
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
