//! Lines that a server sends through a socket, as `nc -lk 7777` does. What reads is a thread of its
//! own, which connects, and connects again, with pauses that get longer.
//!
//! A server sends nothing twice. So what was read and is in no checkpoint is lost with a restart,
//! and what was on its way is lost with a connection.

use std::io::{self, ErrorKind, Read};
use std::net::{Shutdown, TcpStream, ToSocketAddrs};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::retry::{Patience, Verdict, wait};
use super::stream::{CHUNK_BYTES, CHUNKS_MAX, Piece, Stream, line_buffer, spawn};
use crate::checkpoint::manifest::SourcePosition;
use crate::error::{Error, Result};
use crate::flow::Waker;
use crate::job::plan::{OnClose, SocketPlan};
use crate::wasm::{LogLevel, LogSink};

/// How long one address of a server has to answer.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// Ends the thread and its connection with this value.
#[derive(Debug)]
pub(super) struct Reader {
    /// Whether the source is gone, and the connection there is.
    connection: Arc<Mutex<(bool, Option<TcpStream>)>>,
    _here: Sender<()>,
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut connection = self.connection.lock().expect("nobody panics with this lock");
        connection.0 = true;
        if let Some(socket) = connection.1.take() {
            // It may have been closed from the other side.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Starts to read what a server sends. That it is not there yet is no error before it has been
/// tried for as long as the plan says.
///
/// # Errors
/// If no thread can be started.
pub(in crate::flow) fn open(
    plan: &SocketPlan,
    line_bytes_max: usize,
    waker: &Waker,
    log: LogSink,
    from: &SourcePosition,
) -> Result<Stream> {
    let (pieces, receiver) = mpsc::sync_channel(CHUNKS_MAX);
    let (here, gone) = mpsc::channel();
    let connection = Arc::default();
    let thread = Connecting {
        plan: plan.clone(),
        pieces,
        waker: waker.clone(),
        log: log.clone(),
        gone,
        connection: Arc::clone(&connection),
        patience: Patience::new(plan.retry),
    };
    let name: Arc<str> = format!("socket {}", plan.address).into();
    spawn(&name, move || thread.run())?;
    let reader = Reader { connection, _here: here };
    let buffer = line_buffer(line_bytes_max, from);
    Ok(Stream::new(name, receiver, buffer, Some(reader), log))
}

/// What the thread holds.
struct Connecting {
    plan: SocketPlan,
    pieces: SyncSender<io::Result<Piece>>,
    waker: Waker,
    log: LogSink,
    gone: Receiver<()>,
    connection: Arc<Mutex<(bool, Option<TcpStream>)>>,
    patience: Patience,
}

/// Nobody reads the lines any more.
struct Gone;

impl From<()> for Gone {
    fn from((): ()) -> Self {
        Self
    }
}

impl Connecting {
    fn run(mut self) {
        // The other side is gone, which is all that there is to say.
        let _ = self.read_on();
    }

    /// Connects and reads until the input has ended, the source has gone, or it is given up.
    fn read_on(&mut self) -> Result<(), Gone> {
        loop {
            let what = match self.connect() {
                Ok(socket) => {
                    let end = self.read(socket)?;
                    match (end, self.plan.on_close) {
                        (Ok(()), OnClose::End) => return self.send(Ok(Piece::End)),
                        (Ok(()), OnClose::Reconnect) => {
                            self.send(Ok(Piece::Closed))?;
                            Failure::new("the connection was closed", None)
                        }
                        (Err(cause), _) => {
                            self.send(Ok(Piece::Broken))?;
                            Failure::new("the connection broke", Some(cause))
                        }
                    }
                }
                Err(cause) => Failure::new("no connection", Some(cause)),
            };
            let Verdict::Wait(delay) = self.patience.failed() else {
                let cause = what.cause.unwrap_or_else(|| ErrorKind::ConnectionAborted.into());
                let text = format!("{}: {}", what.text, for_people(&cause));
                return self.send(Err(io::Error::new(cause.kind(), text)));
            };
            let cause = what.cause.map(|cause| format!(": {}", for_people(&cause)));
            let (text, cause) = (what.text, cause.unwrap_or_default());
            let address = &self.plan.address;
            let line = format!("{address}: {text}{cause}; trying again in {delay:?}");
            self.log.write(LogLevel::Warn, &line);
            wait(&self.gone, delay)?;
        }
    }

    /// Tries all addresses of the server.
    fn connect(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(ErrorKind::NotFound, "the host has no address");
        for address in self.plan.address.to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECT_TIME_MAX) {
                Ok(socket) => {
                    socket.set_read_timeout(self.plan.silence)?;
                    return Ok(socket);
                }
                Err(cause) => failure = cause,
            }
        }
        Err(failure)
    }

    /// Reads until the connection ends: in good order, or with an error.
    fn read(&mut self, mut socket: TcpStream) -> Result<io::Result<()>, Gone> {
        match socket.try_clone() {
            Ok(clone) => {
                let mut connection = self.connection.lock().expect("nobody panics with it");
                if connection.0 {
                    return Err(Gone);
                }
                connection.1 = Some(clone);
            }
            Err(cause) => return Ok(Err(cause)),
        }
        loop {
            let mut chunk = vec![0; CHUNK_BYTES];
            match socket.read(&mut chunk) {
                Ok(0) => return Ok(Ok(())),
                Ok(length) => {
                    let failures = self.patience.worked();
                    if failures > 0 {
                        let address = &self.plan.address;
                        let line = format!("{address}: connected, after {failures} failures");
                        self.log.write(LogLevel::Info, &line);
                    }
                    chunk.truncate(length);
                    self.send(Ok(Piece::Bytes(chunk)))?;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Ok(Err(error)),
            }
        }
    }

    fn send(&self, piece: io::Result<Piece>) -> Result<(), Gone> {
        let sent = self.pieces.send(piece);
        self.waker.wake();
        sent.map_err(|_| Gone)
    }
}

/// Why there is no connection.
struct Failure {
    text: &'static str,
    cause: Option<io::Error>,
}

impl Failure {
    fn new(text: &'static str, cause: Option<io::Error>) -> Self {
        Self { text, cause }
    }
}

/// A read that took too long is told by the system as one that would block.
fn for_people(cause: &io::Error) -> String {
    match cause.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => "nothing has come for too long".into(),
        ErrorKind::ConnectionAborted => "the server sends nothing".into(),
        _ => cause.to_string(),
    }
}

/// The error of a source whose server was given up.
pub(super) fn given_up(name: &str, cause: io::Error) -> Error {
    let hint = "start the server that the lines come from, or look at `address`; `retry_for` says \
                how long it is tried";
    Error::storage(format!("cannot read {name}")).caused_by(cause).hint(hint)
}
