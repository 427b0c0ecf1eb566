//! The file sink: what a partition writes between two barriers is one file or several, hidden (a
//! leading dot) until the checkpoint is complete that begins with the second one.
//!
//! ```text
//! records --folder of the event time--> open file --long, old, or another takes its place-->
//!         ended, hidden, durable --barrier--> prepared --commit--> FOLDER/part-0-17-2
//! ```
//! Hidden files lie in the folder in which they will show: a file that is moved between folders may
//! be in both after a crash.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::checkpoint::manifest::PreparedOutput;
use crate::checkpoint::{Storage, StorageWriter};
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::flow::sink::{PreparedFile, append_lines};
use crate::job::plan::FileShape;
use crate::model::{Batch, FolderSpan, millis};

/// So many bytes are written at once.
const BUFFER_BYTES: usize = 256 << 10;

/// Files that a partition has open at once. Past it the one that was written to least recently is
/// ended.
const OPEN_FILES_MAX: usize = 16;

/// Files that have been ended and wait for the barrier to be made durable. Past it that is done
/// while records wait.
const ENDED_FILES_MAX: usize = 8;

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
    /// How output is cut into files.
    pub(in crate::flow) shape: FileShape,
    /// Tells how old a file is.
    pub(in crate::flow) clock: Arc<dyn Clock>,
}

/// Writes lines to the files of one partition.
pub(in crate::flow) struct FileWriter {
    settings: FileSettings,
    /// Files that are being written, the one that was written to last at the end.
    open: Vec<OpenFile>,
    /// Files since the last barrier that get nothing more, in the order of their ends.
    ended: VecDeque<EndedFile>,
    /// The number of the next file since the last barrier.
    next: u32,
    /// Where the last record went, if there are folders.
    span: Option<FolderSpan>,
}

struct OpenFile {
    name: Name,
    writer: Option<Box<dyn StorageWriter>>,
    buffer: Vec<u8>,
    /// Bytes in all, those in the buffer included.
    bytes: u64,
    begun_ms: i64,
}

struct EndedFile {
    name: Name,
    /// None once it is durable.
    writer: Option<Box<dyn StorageWriter>>,
}

/// What tells a file from others of its partition.
struct Name {
    /// Empty for the sink's own.
    folder: String,
    /// Counted from the last barrier.
    number: u32,
}

impl Name {
    fn in_folder(&self, file: &str) -> String {
        match self.folder.as_str() {
            "" => file.to_owned(),
            folder => format!("{folder}/{file}"),
        }
    }
}

impl FileSettings {
    /// The name until the file is committed.
    fn hidden(&self, name: &Name) -> String {
        let Self { partition, after, shape, .. } = self;
        match shape.is_cut() {
            true => name.in_folder(&format!(".part-{partition}-after-{after}-{}", name.number)),
            false => format!(".part-{partition}-after-{after}"),
        }
    }

    /// The name that readers see. A job without checkpoints has no number for it but 0.
    fn visible(&self, name: &Name, barrier: u64) -> String {
        let partition = self.partition;
        let barrier = if self.numbered { barrier } else { 0 };
        match (self.shape.is_cut(), self.numbered) {
            (true, _) => name.in_folder(&format!("part-{partition}-{barrier}-{}", name.number)),
            (false, true) => format!("part-{partition}-{barrier}"),
            (false, false) => format!("part-{partition}"),
        }
    }

    fn failed(&self, name: &str, cause: std::io::Error) -> Error {
        let place = self.folder.root();
        Error::storage(format!("cannot write {name} in {place}")).caused_by(cause)
    }
}

impl OpenFile {
    /// Hands what waits to the storage, which makes the file now if it is not there yet.
    fn write_buffer(&mut self, settings: &FileSettings) -> Result<()> {
        let hidden = || settings.hidden(&self.name);
        if self.writer.is_none() {
            let made = settings.folder.create(&hidden());
            self.writer = Some(made.map_err(|cause| settings.failed(&hidden(), cause))?);
        }
        let writer = self.writer.as_mut().expect("it was made just now");
        let written = writer.write(&self.buffer);
        self.buffer.clear();
        written.map_err(|cause| settings.failed(&hidden(), cause))
    }

    fn push(&mut self, line: &[u8]) {
        self.buffer.extend_from_slice(line);
        self.buffer.push(b'\n');
        self.bytes += line.len() as u64 + 1;
    }
}

impl FileWriter {
    pub(in crate::flow) fn new(settings: FileSettings) -> Self {
        Self { settings, open: Vec::new(), ended: VecDeque::new(), next: 0, span: None }
    }

    /// Makes sure that the folder takes files, before anything runs.
    ///
    /// # Errors
    /// If it does not.
    pub(in crate::flow) fn open(&mut self) -> Result<()> {
        let name = Name { folder: String::new(), number: 0 };
        if self.settings.shape.is_cut() {
            // Which files there will be is not known; this one goes away at once.
            let hidden = self.settings.hidden(&name);
            let made = self.settings.folder.create(&hidden);
            return made.map(drop).map_err(|cause| self.settings.failed(&hidden, cause));
        }
        self.begin(String::new())?;
        let Self { settings, open, .. } = self;
        open.iter_mut().try_for_each(|file| file.write_buffer(settings))
    }

    /// Writes the records of a batch.
    pub(in crate::flow) fn write(&mut self, batch: &Batch) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.end_old_files()?;
        if self.settings.shape.folders.is_some() || self.settings.shape.roll_bytes.is_some() {
            return self.write_one_by_one(batch);
        }
        let file = self.file("")?;
        append_lines(&mut file.buffer, batch);
        file.bytes += (batch.values.bytes.len() + batch.len()) as u64;
        self.write_full_buffer()
    }

    fn write_one_by_one(&mut self, batch: &Batch) -> Result<()> {
        let roll_bytes = self.settings.shape.roll_bytes.unwrap_or(u64::MAX);
        for (line, &time) in batch.values.iter().zip(&batch.timestamps) {
            let file = self.file_of(time)?;
            file.push(line);
            let is_long = file.bytes >= roll_bytes;
            self.write_full_buffer()?;
            if is_long {
                self.end(self.open.len() - 1)?;
            }
        }
        Ok(())
    }

    /// The file for records of an event time: from now on the last one.
    fn file_of(&mut self, time: i64) -> Result<&mut OpenFile> {
        let Some(pattern) = &self.settings.shape.folders else { return self.file("") };
        if !self.span.as_ref().is_some_and(|span| span.holds(time)) {
            self.span = Some(pattern.folder_of(time));
        }
        let span = self.span.take().expect("it was found just now");
        self.file(&span.folder)?;
        self.span = Some(span);
        Ok(self.open.last_mut().expect("it was found just now"))
    }

    /// The open file for a folder: from now on the last one.
    fn file(&mut self, folder: &str) -> Result<&mut OpenFile> {
        match self.open.iter().rposition(|file| file.name.folder == folder) {
            Some(last) if last + 1 == self.open.len() => {}
            Some(earlier) => self.open[earlier..].rotate_left(1),
            None => self.begin(folder.to_owned())?,
        }
        Ok(self.open.last_mut().expect("it was found or begun just now"))
    }

    /// Begins a file, which becomes the last one.
    fn begin(&mut self, folder: String) -> Result<()> {
        if self.open.len() >= OPEN_FILES_MAX {
            self.end(0)?;
        }
        let begun_ms = self.settings.clock.now_ms();
        let name = Name { folder, number: self.next };
        self.next += 1;
        self.open.push(OpenFile { name, writer: None, buffer: Vec::new(), bytes: 0, begun_ms });
        Ok(())
    }

    /// Writes out the last file's buffer if it is full.
    fn write_full_buffer(&mut self) -> Result<()> {
        match self.open.last_mut() {
            Some(file) if file.buffer.len() >= BUFFER_BYTES => file.write_buffer(&self.settings),
            _ => Ok(()),
        }
    }

    /// Ends files that have been open for as long as they may.
    fn end_old_files(&mut self) -> Result<()> {
        let Some(roll_after) = self.settings.shape.roll_after else { return Ok(()) };
        let latest = self.settings.clock.now_ms().saturating_sub(millis(roll_after));
        while let Some(old) = self.open.iter().position(|file| file.begun_ms <= latest) {
            self.end(old)?;
        }
        Ok(())
    }

    /// Ends an open file.
    fn end(&mut self, index: usize) -> Result<()> {
        let mut file = self.open.remove(index);
        file.write_buffer(&self.settings)?;
        self.ended.push_back(EndedFile { name: file.name, writer: file.writer });
        // Each holds a file of the system open until it is durable.
        if self.ended.len() > ENDED_FILES_MAX {
            let before = self.ended.len() - 1 - ENDED_FILES_MAX;
            let EndedFile { name, writer } = &mut self.ended[before];
            if let Some(writer) = writer.take() {
                let failed = |cause| self.settings.failed(&self.settings.hidden(name), cause);
                writer.finish().map_err(failed)?;
            }
        }
        Ok(())
    }

    /// Ends all files at a barrier. Nothing was written since the last: then there is none, unless
    /// it is the only one.
    pub(in crate::flow) fn prepare(&mut self, barrier: u64) -> Result<Vec<PreparedFile>> {
        let is_only = !self.settings.numbered && !self.settings.shape.is_cut();
        if is_only && self.open.is_empty() && self.ended.is_empty() {
            self.begin(String::new())?;
        }
        while !self.open.is_empty() {
            self.end(0)?;
        }
        let settings = &self.settings;
        let place = settings.folder.root();
        let prepared = self.ended.drain(..).map(|file| PreparedFile {
            output: PreparedOutput::File {
                sink: settings.sink.clone(),
                from: settings.hidden(&file.name),
                to: settings.visible(&file.name, barrier),
            },
            writer: file.writer,
            place: place.clone(),
        });
        let prepared = prepared.collect();
        self.next = 0;
        self.settings.after = barrier;
        Ok(prepared)
    }
}
