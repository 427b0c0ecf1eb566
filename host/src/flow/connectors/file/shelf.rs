//! Where the files of a source lie, and the file system as such a place.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::compression::{Bytes, is_packed, skip, unpacked};
use crate::error::{Error, Result};
use crate::job::plan::Compression;

/// So many bytes are read at once.
const CHUNK_BYTES: usize = 256 << 10;

/// A file that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// By which checkpoints know it: the directory may move.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// When it was changed, in nanoseconds since 1970.
    pub(super) modified_ns: i64,
}

/// What a read came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Got {
    /// There are more bytes, or there may be at once.
    Bytes,
    /// They have not come yet; the source is woken.
    Later,
    /// The file has ended.
    End,
    /// There is no such file any more.
    Gone,
}

/// Where files lie. One of them is read at a time.
pub(super) trait Shelf: Send {
    /// All files that there are now; none if that is not known yet: the source is woken.
    fn look(&mut self) -> Result<Option<Vec<Found>>>;

    /// Begins to read a file where so many bytes of its content have been read.
    fn open(&mut self, file: &Found, offset: u64) -> Result<()>;

    /// Appends what comes next of that file.
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Got>;

    /// Whether a file is whole as soon as it is there.
    fn has_whole_files(&self) -> bool;

    /// A file as people name it.
    fn title(&self, name: &str) -> String;

    /// The place as people name it.
    fn place(&self) -> String;
}

/// A file, or the files of a directory without hidden ones and subdirectories.
pub(super) struct LocalShelf {
    path: PathBuf,
    compression: Compression,
    /// None if it is gone.
    current: Option<(PathBuf, Bytes)>,
}

impl LocalShelf {
    pub(super) fn new(path: &Path, compression: Compression) -> Self {
        Self { path: path.to_owned(), compression, current: None }
    }

    /// A directory may come and go while it is watched, a file that is read is none.
    fn path_of(&self, name: &str) -> PathBuf {
        let is_itself = self.path.file_name().is_some_and(|own| own.to_string_lossy() == name);
        if is_itself && !self.path.is_dir() { self.path.clone() } else { self.path.join(name) }
    }
}

impl Shelf for LocalShelf {
    fn look(&mut self) -> Result<Option<Vec<Found>>> {
        let failed = |cause| failed("list", &self.path, cause);
        let metadata = fs::metadata(&self.path).map_err(failed)?;
        if metadata.is_dir() {
            return list(&self.path).map(Some).map_err(failed);
        }
        let name = self.path.file_name().unwrap_or(self.path.as_os_str()).to_string_lossy();
        Ok(Some(vec![found(name.into_owned(), &metadata)]))
    }

    fn open(&mut self, file: &Found, offset: u64) -> Result<()> {
        self.current = None;
        let path = self.path_of(&file.name);
        let mut opened = match File::open(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            opened => opened.map_err(|cause| failed("open", &path, cause))?,
        };
        let failed = |cause| failed("read", &path, cause);
        let content: Bytes = if is_packed(&file.name, self.compression) {
            let raw = Box::new(opened);
            let mut content = unpacked(&file.name, self.compression, raw).map_err(failed)?;
            skip(&mut content, offset).map_err(|cause| failed(cause).hint(PUT_BACK))?;
            content
        } else {
            let length = opened.metadata().map_err(failed)?.len();
            if length < offset {
                return Err(too_short(&path.display().to_string(), length, offset));
            }
            opened.seek(SeekFrom::Start(offset)).map_err(failed)?;
            Box::new(opened)
        };
        self.current = Some((path, content));
        Ok(())
    }

    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<Got> {
        let Some((path, content)) = &mut self.current else { return Ok(Got::Gone) };
        let before = bytes.len();
        let read = read_chunk(content, bytes, CHUNK_BYTES);
        read.map_err(|cause| failed("read", path, cause))?;
        Ok(if bytes.len() > before { Got::Bytes } else { Got::End })
    }

    fn has_whole_files(&self) -> bool {
        false
    }

    fn title(&self, name: &str) -> String {
        self.path_of(name).display().to_string()
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// What to do about a file that is not what it was.
pub(super) const PUT_BACK: &str = "put the file back as it was";

/// The error of a file that ends before the place where its reading goes on.
pub(super) fn too_short(title: &str, length: u64, offset: u64) -> Error {
    Error::input(format!(
        "{title} has {length} bytes, but the checkpoint stands at byte {offset}: it is not the \
         file that was being read"
    ))
    .hint(PUT_BACK)
}

/// Appends at most so many bytes, fewer only at the end.
pub(super) fn read_chunk(content: &mut Bytes, bytes: &mut Vec<u8>, most: usize) -> io::Result<()> {
    let mut filled = bytes.len();
    bytes.resize(filled + most, 0);
    let read = loop {
        // A decoder that is given no room takes that for a mistake.
        if filled == bytes.len() {
            break Ok(());
        }
        match content.read(&mut bytes[filled..]) {
            Ok(0) => break Ok(()),
            Ok(length) => filled += length,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    bytes.truncate(filled);
    read
}

fn found(name: String, metadata: &Metadata) -> Found {
    let modified_ns = metadata.mtime().saturating_mul(1_000_000_000);
    let modified_ns = modified_ns.saturating_add(metadata.mtime_nsec());
    Found { name, bytes: metadata.len(), modified_ns }
}

fn list(directory: &Path) -> io::Result<Vec<Found>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        match fs::metadata(entry.path()) {
            Ok(metadata) if metadata.is_file() => {
                let name = name.into_string().map_err(|name| {
                    // Checkpoints know files by their names, and those are text.
                    io::Error::new(ErrorKind::InvalidData, format!("{name:?} is not UTF-8"))
                })?;
                files.push(found(name, &metadata));
            }
            Ok(_) => {}
            // It was taken away between the two looks, or is a link to nothing.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(files)
}

fn failed(verb: &str, path: &Path, cause: io::Error) -> Error {
    Error::input(format!("cannot {verb} {}", path.display())).caused_by(cause)
}
