//! Sinks: writers within the task whose records they take.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use super::connectors::{file_sink::FileWriter, stdout::StdoutWriter};
use super::{NodeMetrics, StopFlag};
use crate::error::{Error, Result};
use crate::job::plan::{SinkConnector, SinkPlan};
use crate::model::Batch;

/// A file that is complete but not yet visible under its final name.
#[derive(Debug)]
pub struct PendingFile {
    /// Where it is.
    pub from: PathBuf,
    /// Where it belongs.
    pub to: PathBuf,
}

/// The files that wait for the job to end well.
#[derive(Debug, Clone, Default)]
pub struct PendingFiles {
    files: Arc<Mutex<Vec<PendingFile>>>,
}

impl PendingFiles {
    /// Adds a file.
    pub(super) fn add(&self, file: PendingFile) {
        self.files.lock().expect("nobody panics with this lock").push(file);
    }

    /// Makes all files visible under their final names.
    ///
    /// # Errors
    /// If a file cannot be renamed or a directory not be synced; what comes after it stays invisible.
    pub fn commit(&self) -> Result<()> {
        let mut files = self.files.lock().expect("nobody panics with this lock");
        for PendingFile { from, to } in files.drain(..) {
            let sync = |directory: &std::path::Path| std::fs::File::open(directory)?.sync_all();
            let renamed =
                std::fs::rename(&from, &to).and_then(|()| to.parent().map_or(Ok(()), sync));
            renamed.map_err(|cause| {
                let (from, to) = (from.display(), to.display());
                Error::storage(format!("cannot rename {from} to {to}")).caused_by(cause)
            })?;
        }
        Ok(())
    }
}

/// The writer of one partition of a sink.
#[derive(Debug)]
pub struct SinkWriter {
    writer: Writer,
    metrics: Arc<NodeMetrics>,
}

#[derive(Debug)]
enum Writer {
    File(FileWriter),
    Stdout(StdoutWriter),
    Discard,
}

/// Opens partition `partition` of a sink.
///
/// # Errors
/// If its file cannot be made.
pub fn open_sink(
    plan: &SinkPlan,
    partition: u32,
    pending: &PendingFiles,
    metrics: Arc<NodeMetrics>,
    stop: &Arc<StopFlag>,
) -> Result<SinkWriter> {
    let writer = match &plan.connector {
        SinkConnector::File { path, .. } => {
            Writer::File(FileWriter::create(path, partition, pending.clone())?)
        }
        SinkConnector::Stdout => Writer::Stdout(StdoutWriter::new(stop.clone())),
        SinkConnector::Discard => Writer::Discard,
    };
    Ok(SinkWriter { writer, metrics })
}

impl SinkWriter {
    /// Writes the records of a batch, a line each.
    pub(super) fn write(&mut self, batch: &Batch) -> Result<()> {
        NodeMetrics::add(&self.metrics.records_in, batch.len());
        match &mut self.writer {
            Writer::File(file) => file.write(batch),
            Writer::Stdout(stdout) => stdout.write(batch),
            Writer::Discard => Ok(()),
        }
    }

    /// Makes what was written visible, where it becomes visible record by record.
    pub(super) fn flush(&mut self) -> Result<()> {
        match &mut self.writer {
            Writer::Stdout(stdout) => stdout.flush(),
            Writer::File(_) | Writer::Discard => Ok(()),
        }
    }

    /// Completes the output, which becomes visible when the job ends well.
    pub(super) fn finish(&mut self) -> Result<()> {
        match &mut self.writer {
            Writer::File(file) => file.finish(),
            Writer::Stdout(stdout) => stdout.flush(),
            Writer::Discard => Ok(()),
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
