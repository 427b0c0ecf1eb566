//! The file source: one file, or the files of a directory in the order of their names, read while
//! the job runs.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::line_buffer::LineBuffer;
use super::{Connector, Next};
use crate::error::{Error, Result};

/// So many bytes are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// Files to read, one after the other.
#[derive(Debug)]
pub(in crate::flow) struct Files {
    /// Files that were not opened yet, the next one last.
    paths: Vec<PathBuf>,
    current: Option<(PathBuf, File)>,
    buffer: LineBuffer,
    /// The current file has been read to its end.
    at_end: bool,
}

impl Files {
    /// Finds the files. A directory's are those that it holds now, without hidden ones and
    /// subdirectories.
    pub(in crate::flow) fn open(path: &Path, line_bytes_max: usize) -> Result<Self> {
        let mut paths = vec![path.to_owned()];
        if path.is_dir() {
            paths = list(path).map_err(|cause| failed("list", path, cause))?;
        }
        paths.sort_unstable_by(|a, b| b.cmp(a));
        Ok(Self { paths, current: None, buffer: LineBuffer::new(line_bytes_max), at_end: false })
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
        loop {
            let line = match self.buffer.next_line() {
                None if self.at_end => self.buffer.last_line(),
                line => line,
            };
            match line {
                Some(line) => return Ok(self.buffer.give(line)),
                None if self.current.is_some() && !self.at_end => self.read_on()?,
                None => {
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
