//! Files that a manifest needs, written and read with the length and checksum that it holds.

use std::io::{self, ErrorKind::UnexpectedEof, Read};

use super::manifest::FileRef;
use super::storage::{Storage, StorageWriter};
use crate::error::{Error, ErrorKind, Result};

/// Bytes that are read at once.
const BLOCK_BYTES: usize = 1 << 20;

/// A file on its way out, with its checksum.
pub struct Writer {
    file: Box<dyn StorageWriter>,
    name: String,
    root: String,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Writer {
    /// Begins a file.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn create(storage: &dyn Storage, name: &str) -> Result<Self> {
        let root = storage.root();
        let file = storage.create(name).map_err(|cause| failed("write", name, &root, cause))?;
        Ok(Self { file, name: name.into(), root, crc: crc32fast::Hasher::new(), bytes: 0 })
    }

    /// Appends.
    ///
    /// # Errors
    /// If the storage fails. The file is of no use then.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc.update(bytes);
        self.bytes += bytes.len() as u64;
        self.file.write(bytes).map_err(|cause| failed("write", &self.name, &self.root, cause))
    }

    /// Makes the file durable and visible.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn finish(self) -> Result<FileRef> {
        let root = self.root.clone();
        let (file, reference) = self.seal();
        file.finish().map_err(|cause| failed("write", &reference.name, &root, cause))?;
        Ok(reference)
    }

    /// Ends the file, which whoever gets it has still to make durable.
    pub fn seal(self) -> (Box<dyn StorageWriter>, FileRef) {
        let Self { file, name, crc, bytes, .. } = self;
        (file, FileRef { name, bytes, crc32: crc.finalize() })
    }
}

fn failed(verb: &str, name: &str, root: &str, cause: io::Error) -> Error {
    let message = format!("cannot {verb} {name} in {root}");
    // A file that a manifest needs and that is gone was there once.
    let kind = match (verb, cause.kind()) {
        ("read", io::ErrorKind::NotFound) => ErrorKind::Corruption,
        _ => ErrorKind::Storage,
    };
    Error::new(kind, message).caused_by(cause)
}

/// A file on its way in, with its checksum.
pub(super) struct Reader {
    file: io::BufReader<Box<dyn Read + Send>>,
    name: String,
    root: String,
    crc: crc32fast::Hasher,
    bytes: u64,
}

impl Reader {
    pub(super) fn open(storage: &dyn Storage, file: &FileRef) -> Result<Self> {
        let root = storage.root();
        let opened = storage.open(&file.name);
        let reader = opened.map_err(|cause| failed("read", &file.name, &root, cause))?;
        Ok(Self {
            file: io::BufReader::with_capacity(BLOCK_BYTES, reader),
            name: file.name.clone(),
            root,
            crc: crc32fast::Hasher::new(),
            bytes: 0,
        })
    }

    pub(super) fn corrupt(&self, what: &str) -> Error {
        let Self { name, root, bytes, .. } = self;
        let message = format!("{name} in {root} is not what was written: {what} at byte {bytes}");
        Error::new(ErrorKind::Corruption, message)
    }

    /// Reads so many bytes.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> Result<()> {
        self.file.read_exact(buffer).map_err(|cause| match cause.kind() {
            UnexpectedEof => self.corrupt("it ends"),
            _ => failed("read", &self.name, &self.root, cause),
        })?;
        self.crc.update(buffer);
        self.bytes += buffer.len() as u64;
        Ok(())
    }

    /// Reads so many bytes into a buffer that grows with what is really there.
    pub(super) fn take_long(&mut self, length: usize, buffer: &mut Vec<u8>) -> Result<()> {
        buffer.clear();
        while buffer.len() < length {
            let start = buffer.len();
            buffer.resize(length.min(start + BLOCK_BYTES), 0);
            self.take(&mut buffer[start..])?;
        }
        Ok(())
    }

    /// Checks that the file ends here and is the one that the manifest means.
    pub(super) fn end(mut self, file: &FileRef) -> Result<()> {
        let mut rest = [0; 1];
        match self.file.read(&mut rest) {
            Ok(0) => {}
            Ok(_) => return Err(self.corrupt("it goes on")),
            Err(cause) => return Err(failed("read", &self.name, &self.root, cause)),
        }
        if self.bytes != file.bytes || self.crc.clone().finalize() != file.crc32 {
            return Err(self.corrupt("length or checksum differs from the manifest's, found"));
        }
        Ok(())
    }
}

/// Reads any file that a manifest needs, handing on its bytes, and checks length and checksum.
///
/// # Errors
/// `Corruption` if it is not what was written, which may show only after bytes were handed on;
/// those of `visit`; `Storage` if the storage fails.
pub fn read_file(
    storage: &dyn Storage,
    file: &FileRef,
    mut visit: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::open(storage, file)?;
    let mut buffer = vec![0; BLOCK_BYTES];
    let mut left = file.bytes;
    while left > 0 {
        let length = left.min(BLOCK_BYTES as u64) as usize;
        reader.take(&mut buffer[..length])?;
        visit(&buffer[..length])?;
        left -= length as u64;
    }
    reader.end(file)
}
