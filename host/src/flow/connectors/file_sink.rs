//! The file sink: one file a partition, invisible (a leading dot) until the job ends well.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::flow::sink::{PendingFile, PendingFiles, append_lines};
use crate::model::Batch;

/// So many bytes are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Writes one file.
#[derive(Debug)]
pub(in crate::flow) struct FileWriter {
    /// None when it is finished.
    file: Option<File>,
    buffer: Vec<u8>,
    from: PathBuf,
    to: PathBuf,
    pending: PendingFiles,
}

impl FileWriter {
    /// Makes the file of `partition` in `directory`, which is made if it is missing.
    pub(in crate::flow) fn create(
        directory: &Path,
        partition: u32,
        pending: PendingFiles,
    ) -> Result<Self> {
        let from = directory.join(format!(".part-{partition}.in-progress"));
        let to = directory.join(format!("part-{partition}"));
        let made = std::fs::create_dir_all(directory).and_then(|()| File::create(&from));
        let file = made.map_err(|cause| failed(&from, cause))?;
        let buffer = Vec::with_capacity(BUFFER_BYTES);
        Ok(Self { file: Some(file), buffer, from, to, pending })
    }

    /// Writes the records of a batch.
    pub(in crate::flow) fn write(&mut self, batch: &Batch) -> Result<()> {
        append_lines(&mut self.buffer, batch);
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.write_buffer() }
    }

    fn write_buffer(&mut self) -> Result<()> {
        let file = self.file.as_mut().expect("nothing is written to a finished file");
        file.write_all(&self.buffer).map_err(|cause| failed(&self.from, cause))?;
        self.buffer.clear();
        Ok(())
    }

    /// Completes the file: it is on the disk on return and waits to be made visible.
    pub(in crate::flow) fn finish(&mut self) -> Result<()> {
        self.write_buffer()?;
        let file = self.file.take().expect("a file is finished once");
        file.sync_all().map_err(|cause| failed(&self.from, cause))?;
        self.pending.add(PendingFile { from: self.from.clone(), to: self.to.clone() });
        Ok(())
    }
}

impl Drop for FileWriter {
    /// Removes what was never finished: nobody may take it for output.
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // If it cannot be removed it stays hidden, and the next run writes over it.
            let _ = std::fs::remove_file(&self.from);
        }
    }
}

fn failed(path: &Path, cause: std::io::Error) -> Error {
    Error::storage(format!("cannot write {}", path.display())).caused_by(cause)
}
