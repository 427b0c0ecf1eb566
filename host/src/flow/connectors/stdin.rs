//! The standard input as a source. A thread of its own reads, since a read may block for ever.

use std::io::{ErrorKind, Read};
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};

use super::line_buffer::LineBuffer;
use super::{Connector, Next};
use crate::checkpoint::manifest::SourcePosition;
use crate::error::{Error, Result};
use crate::flow::Waker;

/// So many bytes are read at once, and so many chunks wait at most.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS_MAX: usize = 4;

/// Lines of the standard input.
#[derive(Debug)]
pub(in crate::flow) struct Stdin {
    chunks: Receiver<std::io::Result<Vec<u8>>>,
    buffer: LineBuffer,
    named: bool,
    at_end: bool,
}

impl Stdin {
    /// Starts to read.
    pub(in crate::flow) fn open(
        line_bytes_max: usize,
        waker: &Waker,
        from: &SourcePosition,
    ) -> Result<Self> {
        let (sender, chunks) = mpsc::sync_channel(CHUNKS_MAX);
        let waker = waker.clone();
        std::thread::Builder::new()
            .name("stdin".into())
            .spawn(move || read_chunks(&sender, &waker))
            .map_err(|cause| Error::input("cannot start a thread").caused_by(cause))?;
        let mut buffer = LineBuffer::new(line_bytes_max);
        // What was read before is gone. Lines are counted on, so that none has two meanings.
        buffer.go_on(from.offset, from.line);
        Ok(Self { chunks, buffer, named: false, at_end: false })
    }
}

/// Reads until the end, an error, or until nobody wants any more. An empty chunk is the end.
fn read_chunks(sender: &SyncSender<std::io::Result<Vec<u8>>>, waker: &Waker) {
    let mut stdin = std::io::stdin().lock();
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = match stdin.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read,
        };
        let last = !matches!(read, Ok(1..));
        let sent = sender.send(read.map(|length| {
            chunk.truncate(length);
            chunk
        }));
        waker.wake();
        if last || sent.is_err() {
            return;
        }
    }
}

impl Connector for Stdin {
    fn next(&mut self, _now: i64) -> Result<Next<'_>> {
        if !self.named {
            self.named = true;
            return Ok(Next::Split("standard input".into()));
        }
        loop {
            let line = match self.buffer.next_line() {
                None if self.at_end => self.buffer.last_line(),
                line => line,
            };
            match line {
                Some(line) => return Ok(self.buffer.give(line)),
                None if self.at_end => return Ok(Next::End),
                None => {}
            }
            match self.chunks.try_recv() {
                Ok(Ok(chunk)) if chunk.is_empty() => self.at_end = true,
                Ok(Ok(chunk)) => self.buffer.fill(|bytes| bytes.extend_from_slice(&chunk)),
                Ok(Err(cause)) => {
                    return Err(Error::input("cannot read standard input").caused_by(cause));
                }
                Err(TryRecvError::Empty) => return Ok(Next::Nothing(None)),
                Err(TryRecvError::Disconnected) => self.at_end = true,
            }
        }
    }

    fn position(&self) -> SourcePosition {
        let (offset, line) = self.buffer.place();
        SourcePosition { offset, line, ..SourcePosition::default() }
    }
}
