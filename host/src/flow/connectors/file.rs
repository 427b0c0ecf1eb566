//! The file source: one file, or the files of a directory in the order of their names, read while
//! the job runs.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line_buffer::LineBuffer;
use super::{Connector, Next};
use crate::checkpoint::manifest::SourcePosition;
use crate::error::{Error, Result};

/// So many bytes are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Files to read, one after the other.
#[derive(Debug)]
pub(in crate::flow) struct Files {
    /// Files that were not opened yet, the next one last.
    paths: Vec<PathBuf>,
    /// Names of those that have been read.
    done: Vec<String>,
    current: Option<(PathBuf, File)>,
    /// Whether it is known that the lines to come are from the current file.
    announced: bool,
    buffer: LineBuffer,
    /// The current file has been read to its end.
    at_end: bool,
}

impl Files {
    /// Finds the files, those left out that were read before. A directory's are those that it holds
    /// now, without hidden ones and subdirectories.
    pub(in crate::flow) fn open(
        path: &Path,
        line_bytes_max: usize,
        from: &SourcePosition,
    ) -> Result<Self> {
        let mut paths = vec![path.to_owned()];
        if path.is_dir() {
            paths = list(path).map_err(|cause| failed("list", path, cause))?;
        }
        paths.retain(|path| !from.done.contains(&name_of(path)));
        paths.sort_unstable_by(|a, b| b.cmp(a));
        let buffer = LineBuffer::new(line_bytes_max);
        let mut files = Self {
            paths,
            done: from.done.clone(),
            current: None,
            announced: true,
            buffer,
            at_end: false,
        };
        if let Some(split) = &from.split {
            files.go_on(path, split, from)?;
        }
        Ok(files)
    }

    /// Opens the file that was being read, where its next line begins.
    fn go_on(&mut self, source: &Path, split: &str, from: &SourcePosition) -> Result<()> {
        let index = self.paths.iter().position(|path| name_of(path) == split);
        let Some(index) = index else {
            let line = from.line;
            let source = source.display();
            let message =
                format!("the checkpoint stands at line {line} of {split}, which {source} lacks");
            return Err(Error::input(message).hint("put the file back as it was"));
        };
        let path = self.paths.remove(index);
        let mut file = File::open(&path).map_err(|cause| failed("open", &path, cause))?;
        let length = file.metadata().map_err(|cause| failed("read", &path, cause))?.len();
        if length < from.offset {
            let message = format!(
                "{} has {length} bytes, but the checkpoint stands at byte {}: it is not the file \
                 that was being read",
                path.display(),
                from.offset
            );
            return Err(Error::input(message).hint("put the file back as it was"));
        }
        let sought = file.seek(SeekFrom::Start(from.offset));
        sought.map_err(|cause| failed("read", &path, cause))?;
        self.buffer.go_on(from.offset, from.line);
        self.current = Some((path, file));
        self.announced = false;
        Ok(())
    }

    /// Reads on. Returns whether there is anything new to look at.
    fn read_on(&mut self) -> Result<()> {
        let Some((path, file)) = &mut self.current else { return Ok(()) };
        let read = self.buffer.fill(|bytes| {
            loop {
                match file.take(CHUNK_BYTES as u64).read_to_end(bytes) {
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    read => return read,
                }
            }
        });
        self.at_end = read.map_err(|cause| failed("read", path, cause))? == 0;
        Ok(())
    }
}

impl Connector for Files {
    fn next(&mut self, _now: i64) -> Result<Next<'_>> {
        if !self.announced
            && let Some((path, _)) = &self.current
        {
            self.announced = true;
            return Ok(Next::Split(path.display().to_string().into()));
        }
        loop {
            let line = match self.buffer.next_line() {
                None if self.at_end => self.buffer.last_line(),
                line => line,
            };
            match line {
                Some(line) => return Ok(self.buffer.give(line)),
                None if self.current.is_some() && !self.at_end => self.read_on()?,
                None => {
                    if let Some((path, _)) = self.current.take() {
                        self.done.push(name_of(&path));
                    }
                    let Some(path) = self.paths.pop() else { return Ok(Next::End) };
                    let file = File::open(&path).map_err(|cause| failed("open", &path, cause))?;
                    let name: Arc<str> = path.display().to_string().into();
                    self.current = Some((path, file));
                    self.buffer.reset();
                    self.at_end = false;
                    return Ok(Next::Split(name));
                }
            }
        }
    }

    fn position(&self) -> SourcePosition {
        let split = self.current.as_ref().map(|(path, _)| name_of(path));
        let (offset, line) = if split.is_some() { self.buffer.place() } else { (0, 0) };
        SourcePosition { done: self.done.clone(), split, offset, line, ..Default::default() }
    }
}

/// The name by which checkpoints know a file: the directory may move.
fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() {
            paths.push(path);
        }
    }
    Ok(paths)
}

fn failed(verb: &str, path: &Path, cause: std::io::Error) -> Error {
    Error::input(format!("cannot {verb} {}", path.display())).caused_by(cause)
}
