//! Sinks to external systems that know transactions: what a partition writes between two barriers
//! is a log in the checkpoint storage, which a [`Committer`](crate::checkpoint::Committer) brings to
//! its place once the checkpoint is complete that begins with the second one.

use std::sync::Arc;

use crate::checkpoint::manifest::PreparedOutput;
use crate::checkpoint::sink_log::{LogRecord, LogWriter};
use crate::checkpoint::{Storage, log_folder};
use crate::error::Result;
use crate::flow::sink::PreparedFile;
use crate::model::Batch;

/// Refuses what the external system would not take, before anything holds on to it.
pub(in crate::flow) type CheckBatch = Box<dyn Fn(&Batch) -> Result<()> + Send>;

/// Which logs a writer makes.
pub(in crate::flow) struct LogSettings {
    /// The sink's id.
    pub(in crate::flow) sink: String,
    /// The checkpoint storage.
    pub(in crate::flow) storage: Arc<dyn Storage>,
    /// Which partition's they are.
    pub(in crate::flow) partition: u32,
    /// The barrier after which the first one begins; 0 = the start of the job.
    pub(in crate::flow) after: u64,
    /// No other attempt to run the job has the same.
    pub(in crate::flow) attempt: String,
    /// Looks at what is to be written.
    pub(in crate::flow) check: CheckBatch,
}

/// Writes records to the logs of one partition.
pub(in crate::flow) struct LogSinkWriter {
    settings: LogSettings,
    /// The log since the last barrier, once there was something to write.
    log: Option<LogWriter>,
}

impl LogSinkWriter {
    pub(in crate::flow) fn new(settings: LogSettings) -> Self {
        Self { settings, log: None }
    }

    /// Writes the records of a batch.
    pub(in crate::flow) fn write(&mut self, batch: &Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        (self.settings.check)(batch)?;
        let log = match &mut self.log {
            Some(log) => log,
            none => {
                let LogSettings { sink, storage, partition, after, attempt, .. } = &self.settings;
                let folder = log_folder(sink);
                let name = format!("{folder}{attempt}-{partition}-after-{after}.log");
                none.insert(LogWriter::create(&**storage, &name)?)
            }
        };
        let records = batch.values.iter().zip(&batch.timestamps);
        records
            .map(|(value, &timestamp)| LogRecord { timestamp, value })
            .try_for_each(|one| log.push(one))
    }

    /// Ends the log at a barrier. Nothing was written since the last: then there is none.
    pub(in crate::flow) fn prepare(&mut self, barrier: u64) -> Result<Option<PreparedFile>> {
        self.settings.after = barrier;
        let Some(log) = self.log.take() else { return Ok(None) };
        let (writer, file) = log.seal()?;
        let LogSettings { sink, storage, partition, attempt, .. } = &self.settings;
        let (sink, partition, attempt) = (sink.clone(), *partition, attempt.clone());
        let output = PreparedOutput::Log { sink, partition, checkpoint: barrier, attempt, file };
        Ok(Some(PreparedFile { writer: Some(writer), output, place: storage.root() }))
    }
}
