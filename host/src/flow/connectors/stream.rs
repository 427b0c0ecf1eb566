//! Streams of bytes that cannot be read again as sources: the standard input, and what comes
//! through a socket. A thread of its own reads, since a read may block for ever.

use std::io::{self, ErrorKind, Read};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender, TryRecvError};

use super::line_buffer::{Line, LineBuffer};
use super::socket::{self, Reader};
use super::{Connector, Next};
use crate::checkpoint::manifest::SourcePosition;
use crate::error::{Error, Result};
use crate::flow::{Waker, fields};
use crate::wasm::{LogLevel, LogSink};

/// So many bytes are read at once, and so many chunks wait at most.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
pub(super) const CHUNKS_MAX: usize = 4;

/// What a thread has read.
#[derive(Debug)]
pub(super) enum Piece {
    Bytes(Vec<u8>),
    /// The input ends here, in good order; another one follows, whose first line is a new one.
    Closed,
    /// The input broke off, perhaps within a line; another one follows.
    Broken,
    /// Nothing will come any more.
    End,
}

/// Lines of a stream.
#[derive(Debug)]
pub(in crate::flow) struct Stream {
    /// What it is, for positions and messages.
    name: Arc<str>,
    pieces: Receiver<io::Result<Piece>>,
    buffer: LineBuffer,
    is_named: bool,
    at_end: bool,
    /// Ends the thread with the source, if it reads a socket.
    socket: Option<Reader>,
    log: LogSink,
}

impl Stream {
    /// Lines of what a thread reads.
    pub(super) fn new(
        name: Arc<str>,
        pieces: Receiver<io::Result<Piece>>,
        buffer: LineBuffer,
        socket: Option<Reader>,
        log: LogSink,
    ) -> Self {
        Self { name, pieces, buffer, is_named: false, at_end: false, socket, log }
    }

    /// Starts to read the standard input.
    ///
    /// # Errors
    /// If no thread can be started.
    pub(in crate::flow) fn stdin(
        line_bytes_max: usize,
        waker: &Waker,
        log: LogSink,
        from: &SourcePosition,
    ) -> Result<Self> {
        let (sender, pieces) = mpsc::sync_channel(CHUNKS_MAX);
        let waker = waker.clone();
        let name: Arc<str> = "standard input".into();
        spawn(&name, move || read_pieces(std::io::stdin().lock(), &sender, &waker))?;
        Ok(Self::new(name, pieces, line_buffer(line_bytes_max, from), None, log))
    }

    /// Leaves out what has come of a line whose end will not come.
    fn drop_broken_line(&mut self) {
        let Some(line) = self.buffer.last_line() else { return };
        let number = match &line {
            Line::Whole(_, number) | Line::TooLong(_, number, _) => *number,
        };
        let beginning = match self.buffer.give(line) {
            Next::Line(bytes, _) | Next::TooLong(bytes, ..) => fields::excerpt(bytes),
            _ => String::new(),
        };
        let name = &self.name;
        let text = format!("line {number} of {name} broke off and is left out: {beginning}");
        self.log.write(LogLevel::Warn, &text);
    }
}

/// What was read before is gone. Lines are counted on, so that none has two meanings.
pub(super) fn line_buffer(line_bytes_max: usize, from: &SourcePosition) -> LineBuffer {
    let mut buffer = LineBuffer::new(line_bytes_max);
    buffer.go_on(from.offset, from.line);
    buffer
}

/// Starts a thread.
///
/// # Errors
/// If the system gives none.
pub(super) fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).spawn(body);
    spawned.map(drop).map_err(|cause| Error::input("cannot start a thread").caused_by(cause))
}

/// Reads until the end, an error, or until nobody wants any more.
fn read_pieces(mut input: impl Read, sender: &SyncSender<io::Result<Piece>>, waker: &Waker) {
    loop {
        let mut chunk = vec![0; CHUNK_BYTES];
        let read = match input.read(&mut chunk) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read,
        };
        let last = !matches!(read, Ok(1..));
        let sent = sender.send(read.map(|length| {
            chunk.truncate(length);
            if length == 0 { Piece::End } else { Piece::Bytes(chunk) }
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
            match self.pieces.try_recv() {
                Ok(Ok(Piece::Bytes(bytes))) => {
                    self.buffer.fill(|buffer| buffer.extend_from_slice(&bytes));
                }
                Ok(Ok(Piece::End)) | Err(TryRecvError::Disconnected) => self.at_end = true,
                Ok(Ok(Piece::Broken)) => self.drop_broken_line(),
                Ok(Ok(Piece::Closed)) => {
                    if let Some(line) = self.buffer.last_line() {
                        return Ok(self.buffer.give(line));
                    }
                }
                Ok(Err(cause)) if self.socket.is_some() => {
                    return Err(socket::given_up(&self.name, cause));
                }
                Ok(Err(cause)) => {
                    let message = format!("cannot read {}", self.name);
                    return Err(Error::storage(message).caused_by(cause));
                }
                Err(TryRecvError::Empty) => return Ok(Next::Nothing(None)),
            }
        }
    }

    fn position(&self) -> SourcePosition {
        let (offset, line) = self.buffer.place();
        SourcePosition { offset, line, ..SourcePosition::default() }
    }
}
