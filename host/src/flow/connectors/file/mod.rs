//! The file source: one file, the files of a directory or below a prefix of a bucket, or those and
//! whatever comes there while the job runs.
//!
//! ```text
//! shelf --look--> found --memory: what was read--> queue --open--> current --lines-->
//! ```

mod compression;
mod memory;
#[cfg(feature = "s3")]
mod remote;
mod shelf;

use std::path::Path;

use super::line_buffer::LineBuffer;
use super::{Connector, Next};
use crate::checkpoint::manifest::SourcePosition;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Waker, fields};
use crate::job::plan::{Compression, FileSourcePlan, is_in_bucket};
use crate::model::millis;
use crate::wasm::{LogLevel, LogSink};
use memory::Memory;
use shelf::{Found, Got, LocalShelf, PUT_BACK, Shelf};

/// What some programs write before the first line of a file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The longest header that is read before the job runs.
const HEADER_BYTES_MAX: u64 = 1 << 20;

/// Files to read, one after the other.
pub(in crate::flow) struct Files {
    shelf: Box<dyn Shelf>,
    /// How often is looked for new files; none = once.
    watch_ms: Option<i64>,
    /// When is looked next, in processing time; none = never again.
    next_look_ms: Option<i64>,
    memory: Memory,
    /// Files that were found and not opened yet, the next one last.
    queue: Vec<Found>,
    current: Option<Found>,
    /// Where the file is to be gone on with that was being read.
    resume: Option<Resume>,
    /// Whether it is known that the lines to come are from the current file.
    announced: bool,
    buffer: LineBuffer,
    /// The current file has been read to its end.
    at_end: bool,
    header: Header,
    log: LogSink,
}

/// A place in a file.
struct Resume {
    name: String,
    offset: u64,
    line: u64,
}

/// What is known of the first lines of files.
struct Header {
    is_wanted: bool,
    /// The first line of the first file.
    line: Option<Vec<u8>>,
    /// The next line of the current file is its first.
    is_next: bool,
}

impl Files {
    /// Finds the files, those left out that were read before. `waker` wakes the source; `log` takes
    /// warnings.
    ///
    /// # Errors
    /// If a directory of this machine cannot be listed, or a file that was being read is not there.
    pub(in crate::flow) fn open(
        plan: &FileSourcePlan,
        line_bytes_max: usize,
        waker: &Waker,
        log: LogSink,
        now: i64,
        from: &SourcePosition,
    ) -> Result<Self> {
        let resume = from.split.as_ref().map(|name| Resume {
            name: name.clone(),
            offset: from.offset,
            line: from.line,
        });
        let line = plan.header_line.as_ref().map(|line| line.clone().into_bytes());
        let mut files = Self {
            shelf: open_shelf(plan, waker, &log)?,
            watch_ms: plan.watch.map(millis),
            next_look_ms: Some(now),
            memory: Memory::restored(from)?,
            queue: Vec::new(),
            current: None,
            resume,
            announced: true,
            buffer: LineBuffer::new(line_bytes_max),
            at_end: false,
            header: Header { is_wanted: plan.header, line, is_next: false },
            log,
        };
        files.look(now)?;
        Ok(files)
    }

    /// Looks what there is. Returns when to ask again if there is nothing new.
    fn look(&mut self, now: i64) -> Result<Option<Next<'static>>> {
        match self.next_look_ms {
            None => return Ok(Some(Next::End)),
            Some(due) if due > now => return Ok(Some(Next::Nothing(Some(due)))),
            Some(_) => {}
        }
        let looked = self.shelf.look().map_err(|error| match self.watch_ms {
            // A directory that was there may come back.
            Some(_) => Error { kind: ErrorKind::Storage, ..error },
            None => error,
        })?;
        let Some(found) = looked else { return Ok(Some(Next::Nothing(None))) };
        self.next_look_ms = self.watch_ms.map(|every| now.saturating_add(every));
        if let Some(resume) = self.resume.take() {
            return self.go_on(resume, &found).map(|()| None);
        }
        if self.watch_ms.is_none() {
            if found.is_empty() && self.memory.is_empty() {
                let message = format!("{} holds no files", self.shelf.place());
                let hint = "put the input there, name another path, or add `watch = \"1s\"`";
                return Err(Error::input(message).hint(hint));
            }
            self.queue = self.memory.unread(found);
            self.queue.sort_unstable_by(|a, b| b.name.cmp(&a.name));
            return Ok(None);
        }
        let (mut new, changed) = self.memory.news(found, self.shelf.has_whole_files());
        for name in changed {
            let title = self.shelf.title(&name);
            let line = format!(
                "{title} has changed after it was read; what is new in it is not read: give new \
                 records a file of their own"
            );
            self.log.write(LogLevel::Warn, &line);
        }
        new.reverse();
        self.queue = new;
        let wait = || Next::Nothing(self.next_look_ms);
        Ok(self.queue.is_empty().then(wait))
    }

    /// Opens the file that was being read, where its next line begins, and finds those that come
    /// after it.
    fn go_on(&mut self, resume: Resume, found: &[Found]) -> Result<()> {
        let Resume { name, offset, line } = resume;
        let Some(file) = found.iter().find(|file| file.name == name) else {
            let place = self.shelf.place();
            let message =
                format!("the checkpoint stands at line {line} of {name}, which {place} lacks");
            return Err(Error::input(message).hint(PUT_BACK));
        };
        self.shelf.open(file, offset)?;
        self.buffer.go_on(offset, line);
        self.header.is_next = self.header.is_wanted && offset == 0;
        self.current = Some(file.clone());
        self.announced = false;
        self.at_end = false;
        if self.watch_ms.is_none() {
            let others = found.iter().filter(|other| other.name != name).cloned().collect();
            self.queue = self.memory.unread(others);
            self.queue.sort_unstable_by(|a, b| b.name.cmp(&a.name));
        }
        Ok(())
    }

    /// Begins the next file.
    fn begin(&mut self, file: Found) -> Result<()> {
        self.shelf.open(&file, 0)?;
        self.current = Some(file);
        self.announced = false;
        self.at_end = false;
        self.buffer.reset();
        self.header.is_next = self.header.is_wanted;
        Ok(())
    }

    /// The current file was there at the last look, and is not any more.
    fn pass_over(&mut self) -> Result<()> {
        let Some(file) = self.current.take() else { return Ok(()) };
        let title = self.shelf.title(&file.name);
        if self.watch_ms.is_none() || self.buffer.place().0 > 0 {
            let message = format!("{title} was there when it was looked for, and is gone");
            return Err(Error::input(message).hint(PUT_BACK));
        }
        let line = format!("{title} was taken away before it was read");
        self.log.write(LogLevel::Warn, &line);
        Ok(())
    }

    /// Takes the first line of a file as its header.
    fn take_header(&mut self, line: &[u8]) -> Result<()> {
        self.header.is_next = false;
        let line = header_of(line);
        match &self.header.line {
            None => self.header.line = Some(line.to_owned()),
            Some(first) if first == line => {}
            Some(first) => {
                let name = self.current.as_ref().map_or("", |file| &file.name);
                let message = format!(
                    "{} has the header {}, but the first file has {}",
                    self.shelf.title(name),
                    fields::excerpt(line),
                    fields::excerpt(first)
                );
                let hint = "files of one source have the same fields in the same order: give this \
                            one a source of its own, or take it away";
                return Err(Error::input(message).hint(hint));
            }
        }
        Ok(())
    }

    /// Takes the first line of the current file as its header, if it has been read.
    fn pass_header(&mut self) -> Result<()> {
        let line = match self.buffer.next_line() {
            None if self.at_end => self.buffer.last_line(),
            line => line,
        };
        let Some(line) = line else { return Ok(()) };
        let bytes = match self.buffer.give(line) {
            Next::Line(bytes, _) => bytes.to_owned(),
            _ => {
                let title = self.current.as_ref().map(|file| self.shelf.title(&file.name));
                let title = title.unwrap_or_default();
                let message = format!("the header of {title} is longer than `max_line`");
                return Err(Error::input(message).hint("raise `max_line`"));
            }
        };
        self.take_header(&bytes)
    }

    /// Reads on, or ends the current file, or begins the next one. Returns what to tell if there is
    /// nothing to do.
    fn move_on(&mut self, now: i64) -> Result<Option<Next<'static>>> {
        if let Some(file) = &self.current {
            if self.at_end {
                self.memory.add(file, self.watch_ms.is_some());
                self.current = None;
                return Ok(None);
            }
            let Self { shelf, buffer, .. } = self;
            return Ok(match buffer.fill(|bytes| shelf.read(bytes))? {
                Got::Bytes => None,
                Got::Later => Some(Next::Nothing(None)),
                Got::End => {
                    self.at_end = true;
                    None
                }
                Got::Gone => {
                    self.pass_over()?;
                    None
                }
            });
        }
        match self.queue.pop() {
            Some(file) => self.begin(file).map(|()| None),
            None => self.look(now),
        }
    }
}

impl Connector for Files {
    fn next(&mut self, now: i64) -> Result<Next<'_>> {
        loop {
            if !self.announced
                && let Some(file) = &self.current
            {
                self.announced = true;
                return Ok(Next::Split(self.shelf.title(&file.name).into()));
            }
            if self.header.is_next && self.current.is_some() {
                self.pass_header()?;
            }
            if !self.header.is_next {
                let line = match self.buffer.next_line() {
                    None if self.at_end => self.buffer.last_line(),
                    line => line,
                };
                if let Some(line) = line {
                    return Ok(self.buffer.give(line));
                }
            }
            if let Some(next) = self.move_on(now)? {
                return Ok(next);
            }
        }
    }

    fn position(&self) -> SourcePosition {
        let mut position = SourcePosition::default();
        self.memory.tell(self.watch_ms.is_some(), &mut position);
        if let Some(file) = &self.current {
            position.split = Some(file.name.clone());
            (position.offset, position.line) = self.buffer.place();
        } else if let Some(resume) = &self.resume {
            position.split = Some(resume.name.clone());
            (position.offset, position.line) = (resume.offset, resume.line);
        }
        position
    }
}

fn open_shelf(plan: &FileSourcePlan, waker: &Waker, log: &LogSink) -> Result<Box<dyn Shelf>> {
    if !is_in_bucket(&plan.path) {
        return Ok(Box::new(LocalShelf::new(&plan.path, plan.compression)));
    }
    #[cfg(feature = "s3")]
    return Ok(Box::new(remote::RemoteShelf::open(plan, waker, log)?));
    #[cfg(not(feature = "s3"))]
    {
        let _ = (waker, log);
        unreachable!("`check` refuses buckets without S3")
    }
}

/// A header without what does not belong to it.
fn header_of(line: &[u8]) -> &[u8] {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// The header of a file, and the names of its fields; none if it has no bytes.
///
/// # Errors
/// If it cannot be read, or is no header.
pub fn read_header(path: &Path, packed: Compression) -> Result<Option<(String, Vec<String>)>> {
    use std::io::{BufRead, BufReader, Read};
    let failed = |cause: std::io::Error| {
        Error::input(format!("cannot read {}", path.display())).caused_by(cause)
    };
    let raw = Box::new(std::fs::File::open(path).map_err(failed)?);
    let name = path.to_string_lossy();
    let content = compression::unpacked(&name, packed, raw).map_err(failed)?;
    let mut line = Vec::new();
    let mut lines = BufReader::new(content).take(HEADER_BYTES_MAX);
    if lines.read_until(b'\n', &mut line).map_err(failed)? == 0 {
        return Ok(None);
    }
    let line = header_of(line.strip_suffix(b"\n").unwrap_or(&line));
    let none = |why: String| Error::input(format!("{} has no header: {why}", path.display()));
    let text = std::str::from_utf8(line).map_err(|_| none("it is not UTF-8".into()))?;
    let names = fields::names(line).map_err(none)?;
    Ok(Some((text.to_owned(), names)))
}
