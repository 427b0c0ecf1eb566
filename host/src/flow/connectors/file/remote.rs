//! The objects of a bucket as files. A thread of its own reads them, since a server may take its
//! time; it tries again what fails, and says so.
//!
//! ```text
//! source --look, open--> thread --> server
//!        <--found, bytes, end------ (4 at most wait)
//! ```

use std::io::{self, ErrorKind, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::sync::{Arc, Mutex};

use super::compression::{Bytes, is_packed, skip, unpacked};
use super::shelf::{Found, Got, PUT_BACK, Shelf, read_chunk, too_short};
use crate::checkpoint::storage::ObjectStorage;
use crate::error::{Error, ErrorKind as Kind, Result};
use crate::flow::Waker;
use crate::flow::connectors::retry::{Patience, Verdict, wait};
use crate::flow::connectors::stream::spawn;
use crate::job::plan::{Compression, FileSourcePlan, RetryPlan};
use crate::wasm::{LogLevel, LogSink};

/// So many bytes are handed over at once, and so many answers wait at most.
const CHUNK_BYTES: usize = 256 << 10;
const ANSWERS_MAX: usize = 4;

/// What the thread is asked for. It gives all answers to one request before it takes the next.
enum Request {
    Look,
    Open(Found, u64),
}

enum Answer {
    Found(Vec<Found>),
    Bytes(Vec<u8>),
    End,
    Gone,
}

/// Objects of a bucket.
pub(super) struct RemoteShelf {
    server: Arc<Server>,
    compression: Compression,
    requests: Sender<Request>,
    answers: Receiver<Result<Answer>>,
    is_asked: bool,
    /// Ends the pauses of the thread with this value.
    _here: Sender<()>,
}

impl RemoteShelf {
    /// Starts the thread, which asks the server nothing yet.
    ///
    /// # Errors
    /// If the environment lacks what is needed to reach the server.
    pub(super) fn open(plan: &FileSourcePlan, waker: &Waker, log: &LogSink) -> Result<Self> {
        let url = plan.path.display().to_string();
        let storage = ObjectStorage::open_impatient(&url)?;
        let (requests, asked) = mpsc::channel();
        let (answers, answered) = mpsc::sync_channel(ANSWERS_MAX);
        let (here, gone) = mpsc::channel();
        let server = Arc::new(Server {
            url: url.trim_end_matches('/').to_owned(),
            storage,
            is_one_object: AtomicBool::new(false),
            retry: plan.retry,
            log: log.clone(),
            gone: Mutex::new(gone),
        });
        let compression = plan.compression;
        let thread =
            Reading { server: Arc::clone(&server), compression, answers, waker: waker.clone() };
        spawn(&url, move || {
            // The other side is gone, which is all that there is to say.
            let _ = asked.iter().try_for_each(|request| thread.serve(request));
        })?;
        let answers = answered;
        Ok(Self { server, compression, requests, answers, is_asked: false, _here: here })
    }

    fn ask(&self, request: Request) -> Result<()> {
        self.requests.send(request).map_err(|_| self.ended())
    }

    fn answer(&self) -> Result<Option<Answer>> {
        match self.answers.try_recv() {
            Ok(answer) => answer.map(Some),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.ended()),
        }
    }

    fn ended(&self) -> Error {
        Error::storage(format!("what reads {} has ended", self.server.url))
    }
}

impl Shelf for RemoteShelf {
    fn look(&mut self) -> Result<Option<Vec<Found>>> {
        if !self.is_asked {
            self.ask(Request::Look)?;
            self.is_asked = true;
        }
        match self.answer()? {
            Some(Answer::Found(found)) => {
                self.is_asked = false;
                Ok(Some(found))
            }
            // Nothing else was asked for.
            _ => Ok(None),
        }
    }

    fn open(&mut self, file: &Found, offset: u64) -> Result<()> {
        if file.bytes < offset && !is_packed(&file.name, self.compression) {
            return Err(too_short(&self.title(&file.name), file.bytes, offset));
        }
        self.ask(Request::Open(file.clone(), offset))
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Got> {
        Ok(match self.answer()? {
            None | Some(Answer::Found(_)) => Got::Later,
            Some(Answer::Bytes(more)) => {
                bytes.extend_from_slice(&more);
                Got::Bytes
            }
            Some(Answer::End) => Got::End,
            Some(Answer::Gone) => Got::Gone,
        })
    }

    fn has_whole_files(&self) -> bool {
        true
    }

    fn title(&self, name: &str) -> String {
        self.server.title(name)
    }

    fn place(&self) -> String {
        self.server.url.clone()
    }
}

/// What the thread holds.
struct Reading {
    server: Arc<Server>,
    compression: Compression,
    answers: SyncSender<Result<Answer>>,
    waker: Waker,
}

struct Server {
    /// Without a slash at its end.
    url: String,
    storage: ObjectStorage,
    /// Whether the last look found that the place is one object.
    is_one_object: AtomicBool,
    retry: RetryPlan,
    log: LogSink,
    /// Tells when nobody waits for an answer any more.
    gone: Mutex<Receiver<()>>,
}

/// Nobody waits for an answer any more.
struct Gone;

impl Reading {
    fn serve(&self, request: Request) -> Result<(), Gone> {
        match request {
            Request::Look => {
                let looked = self.server.look().map_err(|cause| {
                    Error::storage(format!("cannot list {}", self.server.url)).caused_by(cause)
                });
                self.send(looked.map(Answer::Found))
            }
            Request::Open(file, offset) => match self.read(&file, offset)? {
                Err(error) => self.send(Err(error)),
                Ok(()) => Ok(()),
            },
        }
    }

    /// Reads a file to its end.
    fn read(&self, file: &Found, offset: u64) -> Result<Result<()>, Gone> {
        let title = self.server.title(&file.name);
        let failed = |cause: io::Error| {
            // What cannot be mended by trying again is for the user to mend.
            let kind = match cause.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => Kind::Input,
                _ => Kind::Storage,
            };
            Error::new(kind, format!("cannot read {title}")).caused_by(cause)
        };
        let is_packed = is_packed(&file.name, self.compression);
        let raw_offset = if is_packed { 0 } else { offset };
        let mut raw = PatientReader::new(&self.server, file, raw_offset);
        match raw.open() {
            Err(cause) if cause.kind() == ErrorKind::NotFound => {
                return self.send(Ok(Answer::Gone)).map(Ok);
            }
            Err(cause) => return Ok(Err(failed(cause))),
            Ok(()) => {}
        }
        let mut content = match unpacked(&file.name, self.compression, Box::new(raw)) {
            Ok(content) => content,
            Err(cause) => return Ok(Err(failed(cause))),
        };
        if is_packed && let Err(cause) = skip(&mut content, offset) {
            return Ok(Err(failed(cause).hint(PUT_BACK)));
        }
        loop {
            let mut chunk = Vec::new();
            if let Err(cause) = read_chunk(&mut content, &mut chunk, CHUNK_BYTES) {
                return Ok(Err(failed(cause)));
            }
            if chunk.is_empty() {
                return self.send(Ok(Answer::End)).map(Ok);
            }
            self.send(Ok(Answer::Bytes(chunk)))?;
        }
    }

    fn send(&self, answer: Result<Answer>) -> Result<(), Gone> {
        let sent = self.answers.send(answer);
        self.waker.wake();
        sent.map_err(|_| Gone)
    }
}

impl Server {
    /// What there is, without hidden objects and those further below.
    fn look(&self) -> io::Result<Vec<Found>> {
        let mut patience = Patience::new(self.retry);
        let objects = loop {
            match self.storage.objects() {
                Ok(objects) => break objects,
                Err(cause) => self.wait_after("cannot list it", cause, &mut patience)?,
            }
        };
        self.tell_success(&mut patience);
        let is_one_object = matches!(objects.as_slice(), [only] if only.name.is_empty());
        self.is_one_object.store(is_one_object, Ordering::Relaxed);
        let found = objects.into_iter().filter(|object| !object.name.starts_with('.'));
        Ok(found
            .map(|object| Found {
                name: if is_one_object { self.own_name().to_owned() } else { object.name },
                bytes: object.bytes,
                modified_ns: object.modified_ms.saturating_mul(1_000_000),
            })
            .collect())
    }

    /// The name of the one object that the place is.
    fn own_name(&self) -> &str {
        self.url.rsplit('/').next().unwrap_or(&self.url)
    }

    /// An object as people name it.
    fn title(&self, name: &str) -> String {
        match self.is_one_object.load(Ordering::Relaxed) {
            true => self.url.clone(),
            false => format!("{}/{name}", self.url),
        }
    }

    fn tell_success(&self, patience: &mut Patience) {
        let failures = patience.worked();
        if failures > 0 {
            let line = format!("{}: it answers, after {failures} failures", self.url);
            self.log.write(LogLevel::Info, &line);
        }
    }

    /// Waits until it is time to try again.
    ///
    /// # Errors
    /// With the cause, if that makes no sense, has lasted too long, or nobody waits any more.
    fn wait_after(&self, what: &str, cause: io::Error, patience: &mut Patience) -> io::Result<()> {
        let is_final = matches!(
            cause.kind(),
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidData
        );
        if is_final {
            return Err(cause);
        }
        let Verdict::Wait(delay) = patience.failed() else { return Err(cause) };
        let line = format!("{}: {what}: {cause}; trying again in {delay:?}", self.url);
        self.log.write(LogLevel::Warn, &line);
        let gone = self.gone.lock().expect("nobody panics with this lock");
        wait(&gone, delay).map_err(|()| cause)
    }
}

/// The bytes of an object, asked for again from where they broke off.
struct PatientReader {
    server: Arc<Server>,
    /// Its name below the prefix.
    object: String,
    offset: u64,
    /// Its length in all: when it was found, then when it was opened.
    length: u64,
    /// The version that was opened first: no other is read on with.
    version: Option<String>,
    content: Option<Bytes>,
    patience: Patience,
}

impl PatientReader {
    fn new(server: &Arc<Server>, file: &Found, offset: u64) -> Self {
        let is_own = server.is_one_object.load(Ordering::Relaxed);
        Self {
            server: Arc::clone(server),
            object: if is_own { String::new() } else { file.name.clone() },
            offset,
            length: file.bytes,
            version: None,
            content: None,
            patience: Patience::new(server.retry),
        }
    }

    /// Makes sure that there is something to read from, unless all has been read.
    fn open(&mut self) -> io::Result<()> {
        // Servers give nothing from behind the last byte.
        while self.content.is_none() && (self.offset == 0 || self.offset < self.length) {
            let version = self.version.clone();
            match self.server.storage.open_from(&self.object, self.offset, version) {
                Ok(opened) => {
                    self.content = Some(opened.content);
                    self.length = opened.bytes;
                    self.version = self.version.take().or(opened.version);
                }
                Err(cause) => {
                    self.server.wait_after("cannot read it", cause, &mut self.patience)?;
                }
            }
        }
        Ok(())
    }
}

impl Read for PatientReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.open()?;
            let Some(content) = &mut self.content else { return Ok(0) };
            let cause = match content.read(buffer) {
                Ok(0) if self.offset < self.length && !buffer.is_empty() => {
                    ErrorKind::ConnectionAborted.into()
                }
                Ok(length) => {
                    self.offset += length as u64;
                    self.server.tell_success(&mut self.patience);
                    return Ok(length);
                }
                Err(cause) => cause,
            };
            self.content = None;
            self.server.wait_after("reading broke off", cause, &mut self.patience)?;
        }
    }
}
