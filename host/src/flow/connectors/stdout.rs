//! The standard output as a sink. Partitions share it, a batch of lines at a time.

use std::io::{ErrorKind, Write};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::flow::sink::append_lines;
use crate::flow::{StopFlag, StopReason};
use crate::model::Batch;

/// So many bytes are written at once while there is more to come.
const BUFFER_BYTES: usize = 64 << 10;

/// Writes lines to the standard output.
#[derive(Debug)]
pub(in crate::flow) struct StdoutWriter {
    buffer: Vec<u8>,
    stop: Arc<StopFlag>,
}

impl StdoutWriter {
    /// A writer that stops the job when nobody reads any more.
    pub(in crate::flow) fn new(stop: Arc<StopFlag>) -> Self {
        Self { buffer: Vec::new(), stop }
    }

    /// Writes the records of a batch.
    pub(in crate::flow) fn write(&mut self, batch: &Batch) -> Result<()> {
        append_lines(&mut self.buffer, batch);
        if self.buffer.len() < BUFFER_BYTES { Ok(()) } else { self.flush() }
    }

    /// Makes everything visible.
    pub(in crate::flow) fn flush(&mut self) -> Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(&self.buffer).and_then(|()| stdout.flush());
        self.buffer.clear();
        match written {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.stop.stop(StopReason::OutputClosed);
                Ok(())
            }
            Err(cause) => Err(Error::storage("cannot write to standard output").caused_by(cause)),
            Ok(()) => Ok(()),
        }
    }
}
