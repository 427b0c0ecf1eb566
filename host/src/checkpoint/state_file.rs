//! States and timers of a partition as a file that every backend reads.
//!
//! ```text
//! magic      8 bytes: "TGSTATE" and the format, 1
//! chunk      key group, length, CRC-32 of both and of the entries: u32 little-endian each; entries
//! …
//! end        as a chunk of key group 2^32 - 1; its content is the number of chunks, u64
//! ```
//! Entries are in the encoding of [`crate::state::entry`]. Chunks of one key group may be anywhere.
//! A manifest holds the length and the checksum of the whole file besides.

use super::checked::{Reader, Writer};
use super::manifest::FileRef;
use super::storage::Storage;
use crate::error::Result;

const MAGIC: [u8; 8] = *b"TGSTATE\x01";
const END: u32 = u32::MAX;
const HEAD_BYTES: usize = 12;

/// A longer chunk is taken for a length that lies. A chunk holds at least one whole state of a key.
const CHUNK_BYTES_MAX: usize = 2 << 30;

/// Writes such a file.
pub struct StateFileWriter {
    file: Writer,
    chunks: u64,
}

impl StateFileWriter {
    /// Begins a file.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn create(storage: &dyn Storage, name: &str) -> Result<Self> {
        let mut file = Writer::create(storage, name)?;
        file.write(&MAGIC)?;
        Ok(Self { file, chunks: 0 })
    }

    /// Adds entries of a key group.
    ///
    /// # Errors
    /// If the storage fails. The file is of no use then.
    pub fn write_chunk(&mut self, group: u32, entries: &[u8]) -> Result<()> {
        let length = u32::try_from(entries.len()).expect("a chunk is far below 4 GiB");
        self.file.write(&head(group, length, entries))?;
        self.file.write(entries)?;
        self.chunks += 1;
        Ok(())
    }

    /// Makes the file durable and visible.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn finish(mut self) -> Result<FileRef> {
        let chunks = self.chunks.to_le_bytes();
        self.file.write(&head(END, 8, &chunks))?;
        self.file.write(&chunks)?;
        self.file.finish()
    }
}

fn head(group: u32, length: u32, entries: &[u8]) -> [u8; HEAD_BYTES] {
    let mut head = [0; HEAD_BYTES];
    head[..4].copy_from_slice(&group.to_le_bytes());
    head[4..8].copy_from_slice(&length.to_le_bytes());
    let mut crc = crc32fast::Hasher::new();
    crc.update(&head[..8]);
    crc.update(entries);
    head[8..].copy_from_slice(&crc.finalize().to_le_bytes());
    head
}

/// Reads a state file to its end and hands on its chunks: key group and entries.
///
/// # Errors
/// `Corruption` if it is not what was written, which may show only after chunks were handed on;
/// those of `visit`; `Storage` if the storage fails.
pub fn read_chunks(
    storage: &dyn Storage,
    file: &FileRef,
    mut visit: impl FnMut(u32, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::open(storage, file)?;
    let mut magic = MAGIC;
    reader.take(&mut magic)?;
    if magic != MAGIC {
        return Err(reader.corrupt("it does not begin as a state file"));
    }
    let mut entries = Vec::new();
    let mut chunks = 0_u64;
    loop {
        let mut found = [0; HEAD_BYTES];
        reader.take(&mut found)?;
        let number = |at: usize| u32::from_le_bytes(found[at..at + 4].try_into().expect("four"));
        let (group, length) = (number(0), number(4));
        if length as usize > CHUNK_BYTES_MAX {
            return Err(reader.corrupt("a length that cannot be"));
        }
        reader.take_long(length as usize, &mut entries)?;
        if head(group, length, &entries) != found {
            return Err(reader.corrupt("a checksum that does not fit, before"));
        }
        if group == END {
            if entries != chunks.to_le_bytes() {
                return Err(reader.corrupt("chunks are missing"));
            }
            return reader.end(file);
        }
        chunks += 1;
        visit(group, &entries)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::checked::read_file;
    use crate::checkpoint::damage::each_damage;
    use crate::checkpoint::storage::{MemoryStorage, get, put};
    use crate::error::ErrorKind;
    use crate::state::entry::{self, Entry, EntryKind};

    fn write(storage: &MemoryStorage) -> FileRef {
        let mut entries = Vec::new();
        for (kind, key, value) in [
            (EntryKind::State(0), &b"a"[..], &b"1"[..]),
            (EntryKind::EventTimer, b"a", &[0; 8]),
            (EntryKind::State(300), b"", b""),
        ] {
            entry::push(&mut entries, Entry { kind, key, value });
        }
        let mut writer = StateFileWriter::create(storage, "x.state").expect("made");
        for group in [3, 7, 3] {
            writer.write_chunk(group, &entries).expect("written");
        }
        writer.finish().expect("finished")
    }

    fn read(storage: &dyn Storage, file: &FileRef) -> Result<Vec<u32>> {
        let mut groups = Vec::new();
        read_chunks(storage, file, |group, entries| {
            assert_eq!(entry::read(entries).filter(|entry| entry.is_ok()).count(), 3);
            groups.push(group);
            Ok(())
        })?;
        Ok(groups)
    }

    #[test]
    fn reads_what_it_writes() {
        let storage = MemoryStorage::default();
        let file = write(&storage);
        assert_eq!(read(&storage, &file).expect("whole"), [3, 7, 3]);
        read_file(&storage, &file, |_| Ok(())).expect("whole");
    }

    #[test]
    fn finds_every_flipped_bit_and_every_truncation() {
        let storage = MemoryStorage::default();
        let file = write(&storage);
        let whole = get(&storage, "x.state").expect("there");
        let check = |bytes: &[u8], what: &str| {
            put(&storage, "x.state", bytes).expect("written");
            for read in [read(&storage, &file).map(drop), read_file(&storage, &file, |_| Ok(()))] {
                assert_eq!(read.expect_err(what).kind, ErrorKind::Corruption, "{what}");
            }
        };
        each_damage(&whole, check);
        check(&[&whole[..], b"x"].concat(), "one more byte");
    }

    #[test]
    fn a_file_that_is_gone_is_corruption() {
        let storage = MemoryStorage::default();
        let file = write(&storage);
        storage.delete("x.state").expect("deleted");
        assert_eq!(read(&storage, &file).expect_err("gone").kind, ErrorKind::Corruption);
    }

    /// The format of version 1 can be read for ever.
    #[test]
    fn reads_format_1() {
        let storage = MemoryStorage::default();
        put(&storage, "x.state", include_bytes!("fixtures/state-1")).expect("written");
        let file = write(&MemoryStorage::default());
        assert_eq!(read(&storage, &file).expect("valid"), [3, 7, 3]);
    }
}
