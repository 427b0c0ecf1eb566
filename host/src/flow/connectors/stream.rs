//! Streams of bytes that cannot be read again as sources: the standard input, a text socket. A
//! thread of its own reads, since a read may block for ever.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};

use super::line_buffer::LineBuffer;
use super::{Connector, Next};
use crate::checkpoint::manifest::SourcePosition;
use crate::error::{Error, Result};
use crate::flow::Waker;

/// So many bytes are read at once, and so many chunks wait at most.
const CHUNK_BYTES: usize = 64 << 10;
const CHUNKS_MAX: usize = 4;

/// Lines of a stream.
#[derive(Debug)]
pub(in crate::flow) struct Stream {
    /// What it is, for positions and messages.
    name: Arc<str>,
    chunks: Receiver<std::io::Result<Vec<u8>>>,
    buffer: LineBuffer,
    is_named: bool,
    at_end: bool,
    /// Closed with the source, so that the thread ends.
    _socket: Option<Closing>,
}

/// A connection that ends with this value.
#[derive(Debug)]
struct Closing(TcpStream);

impl Drop for Closing {
    fn drop(&mut self) {
        // It may have been closed from the other side.
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

impl Stream {
    /// Starts to read the standard input.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(in crate::flow) fn stdin(
        line_bytes_max: usize,
        waker: &Waker,
        from: &SourcePosition,
    ) -> Result<Self> {
        let buffer = buffer(line_bytes_max, from);
        Self::open("standard input".into(), || std::io::stdin().lock(), None, buffer, waker)
    }

    /// Connects to a server that sends lines, as `nc -lk 7777` does, and starts to read.
    ///
    /// # Errors
    /// If nobody listens there.
    pub(in crate::flow) fn socket(
        address: &str,
        line_bytes_max: usize,
        waker: &Waker,
        from: &SourcePosition,
    ) -> Result<Self> {
        let failed = |cause| {
            let hint = "start the server that the lines come from, or look at `address`";
            Error::storage(format!("cannot connect to {address}")).caused_by(cause).hint(hint)
        };
        let socket = TcpStream::connect(address).map_err(failed)?;
        let closing = Closing(socket.try_clone().map_err(failed)?);
        let buffer = buffer(line_bytes_max, from);
        Self::open(format!("socket {address}").into(), || socket, Some(closing), buffer, waker)
    }

    fn open<R: Read>(
        name: Arc<str>,
        input: impl FnOnce() -> R + Send + 'static,
        socket: Option<Closing>,
        buffer: LineBuffer,
        waker: &Waker,
    ) -> Result<Self> {
        let (sender, chunks) = mpsc::sync_channel(CHUNKS_MAX);
        let waker = waker.clone();
        std::thread::Builder::new()
            .name(name.to_string())
            .spawn(move || read_chunks(input(), &sender, &waker))
            .map_err(|cause| Error::input("cannot start a thread").caused_by(cause))?;
        Ok(Self { name, chunks, buffer, is_named: false, at_end: false, _socket: socket })
    }
}

/// What was read before is gone. Lines are counted on, so that none has two meanings.
fn buffer(line_bytes_max: usize, from: &SourcePosition) -> LineBuffer {
    let mut buffer = LineBuffer::new(line_bytes_max);
    buffer.go_on(from.offset, from.line);
    buffer
}

/// Reads until the end, an error, or until nobody wants any more. An empty chunk is the end.
fn read_chunks(mut input: impl Read, sender: &SyncSender<std::io::Result<Vec<u8>>>, waker: &Waker) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = match input.read(&mut chunk) {
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

impl Connector for Stream {
    fn next(&mut self, _now: i64) -> Result<Next<'_>> {
        if !self.is_named {
            self.is_named = true;
            return Ok(Next::Split(self.name.clone()));
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
                    let message = format!("cannot read {}", self.name);
                    return Err(Error::storage(message).caused_by(cause));
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
