//! The file sink: what a partition writes between two barriers is a file, hidden (a leading dot)
//! until the checkpoint is complete that begins with the second one.

use std::sync::Arc;

use crate::checkpoint::manifest::PreparedOutput;
use crate::checkpoint::{Storage, StorageWriter};
use crate::error::{Error, Result};
use crate::flow::sink::{PreparedFile, append_lines};
use crate::model::Batch;

/// So many bytes are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Which files a writer makes.
pub(in crate::flow) struct FileSettings {
    /// The sink's id.
    pub(in crate::flow) sink: String,
    /// Where they lie.
    pub(in crate::flow) folder: Arc<dyn Storage>,
    /// Which partition's they are.
    pub(in crate::flow) partition: u32,
    /// The barrier after which the first one begins; 0 = the start of the job.
    pub(in crate::flow) after: u64,
    /// Whether there are several in the life of the job, one a checkpoint, so that their names need
    /// its number.
    pub(in crate::flow) numbered: bool,
}

/// Writes lines to the file of one partition.
pub(in crate::flow) struct FileWriter {
    settings: FileSettings,
    /// The file since the last barrier, once there was something to write.
    file: Option<Box<dyn StorageWriter>>,
    buffer: Vec<u8>,
}

impl FileWriter {
    pub(in crate::flow) fn new(settings: FileSettings) -> Self {
        Self { settings, file: None, buffer: Vec::with_capacity(BUFFER_BYTES) }
    }

    /// Makes sure that the folder takes files, before anything runs.
    ///
    /// # Errors
    /// If it does not.
    pub(in crate::flow) fn open(&mut self) -> Result<()> {
        self.file().map(|_| ())
    }

    fn hidden(&self) -> String {
        format!(".part-{}-after-{}", self.settings.partition, self.settings.after)
    }

    fn file(&mut self) -> Result<&mut Box<dyn StorageWriter>> {
        if self.file.is_none() {
            let name = self.hidden();
            let made = self.settings.folder.create(&name);
            self.file = Some(made.map_err(|cause| self.failed(&name, cause))?);
        }
        Ok(self.file.as_mut().expect("it was made just now"))
    }

    /// Writes the records of a batch.
    pub(in crate::flow) fn write(&mut self, batch: &Batch) -> Result<()> {
        append_lines(&mut self.buffer, batch);
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.write_buffer() }
    }

    fn write_buffer(&mut self) -> Result<()> {
        let buffer = std::mem::take(&mut self.buffer);
        let written = self.file()?.write(&buffer);
        self.buffer = buffer;
        self.buffer.clear();
        written.map_err(|cause| self.failed(&self.hidden(), cause))
    }

    /// Ends the file at a barrier. Nothing was written since the last: then there is none, unless
    /// it is the only one.
    pub(in crate::flow) fn prepare(&mut self, barrier: u64) -> Result<Vec<PreparedFile>> {
        if !self.buffer.is_empty() || (self.file.is_none() && !self.settings.numbered) {
            self.write_buffer()?;
        }
        let from = self.hidden();
        self.settings.after = barrier;
        let Some(writer) = self.file.take() else { return Ok(Vec::new()) };
        let FileSettings { sink, partition, numbered, .. } = &self.settings;
        let to = match numbered {
            true => format!("part-{partition}-{barrier}"),
            false => format!("part-{partition}"),
        };
        let place = self.settings.folder.root();
        let output = PreparedOutput::File { sink: sink.clone(), from, to };
        Ok(vec![PreparedFile { writer, output, place }])
    }

    fn failed(&self, name: &str, cause: std::io::Error) -> Error {
        let place = self.settings.folder.root();
        Error::storage(format!("cannot write {name} in {place}")).caused_by(cause)
    }
}
