//! What one partition of a sink took between two barriers, as a file that waits to be written to an
//! external system.
//!
//! ```text
//! magic      8 bytes: "TGSINKS" and the format, 1
//! chunk      length, u32 little-endian, above 0; records
//! …
//! end        length 0
//!
//! record     event time, i64 little-endian (none = the least); length, u32; the record
//! ```
//! The manifest holds the length and the checksum of the whole file. A file that is not what was
//! written may show so only at its end: what is done with its records must be undone then.

use super::checked::{Reader, Writer};
use super::manifest::FileRef;
use super::storage::{Storage, StorageWriter};
use crate::error::Result;

const MAGIC: [u8; 8] = *b"TGSINKS\x01";

/// A chunk is written when it has so many bytes.
const CHUNK_BYTES: usize = 256 << 10;

/// A longer chunk is taken for a length that lies. A chunk holds at least one whole record.
const CHUNK_BYTES_MAX: usize = 2 << 30;

/// Bytes before each record.
const HEAD_BYTES: usize = 12;

/// A record of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRecord<'a> {
    /// Event time in milliseconds; [`TIME_NONE`](crate::model::TIME_NONE) if it has none.
    pub timestamp: i64,
    /// The record.
    pub value: &'a [u8],
}

/// Writes a log.
pub struct LogWriter {
    file: Writer,
    chunk: Vec<u8>,
}

impl LogWriter {
    /// Begins a log.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn create(storage: &dyn Storage, name: &str) -> Result<Self> {
        let mut file = Writer::create(storage, name)?;
        file.write(&MAGIC)?;
        Ok(Self { file, chunk: Vec::with_capacity(CHUNK_BYTES) })
    }

    /// Adds a record.
    ///
    /// # Errors
    /// If the storage fails. The log is of no use then.
    pub fn push(&mut self, record: LogRecord<'_>) -> Result<()> {
        let length = u32::try_from(record.value.len()).expect("a record fits a batch");
        self.chunk.extend_from_slice(&record.timestamp.to_le_bytes());
        self.chunk.extend_from_slice(&length.to_le_bytes());
        self.chunk.extend_from_slice(record.value);
        if self.chunk.len() < CHUNK_BYTES { Ok(()) } else { self.write_chunk() }
    }

    fn write_chunk(&mut self) -> Result<()> {
        let length = u32::try_from(self.chunk.len()).expect("a chunk is far below 4 GiB");
        self.file.write(&length.to_le_bytes())?;
        self.file.write(&self.chunk)?;
        self.chunk.clear();
        Ok(())
    }

    /// Ends the log, which whoever gets it has still to make durable.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn seal(mut self) -> Result<(Box<dyn StorageWriter>, FileRef)> {
        if !self.chunk.is_empty() {
            self.write_chunk()?;
        }
        self.file.write(&0_u32.to_le_bytes())?;
        Ok(self.file.seal())
    }
}

/// Reads a log to its end and hands on its records.
///
/// # Errors
/// `Corruption` if it is not what was written, which may show only after records were handed on;
/// those of `visit`; `Storage` if the storage fails.
pub fn read(
    storage: &dyn Storage,
    file: &FileRef,
    visit: &mut dyn FnMut(LogRecord<'_>) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader::open(storage, file)?;
    let mut magic = MAGIC;
    reader.take(&mut magic)?;
    if magic != MAGIC {
        return Err(reader.corrupt("it does not begin as a log of a sink"));
    }
    let mut chunk = Vec::new();
    loop {
        let mut length = [0; 4];
        reader.take(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length == 0 {
            return reader.end(file);
        }
        if length > CHUNK_BYTES_MAX {
            return Err(reader.corrupt("a length that cannot be"));
        }
        reader.take_long(length, &mut chunk)?;
        let mut rest = chunk.as_slice();
        while !rest.is_empty() {
            let Some((record, after)) = split_record(rest) else {
                return Err(reader.corrupt("a record that goes on after its chunk, before"));
            };
            visit(record)?;
            rest = after;
        }
    }
}

fn split_record(bytes: &[u8]) -> Option<(LogRecord<'_>, &[u8])> {
    let (head, rest) = bytes.split_first_chunk::<HEAD_BYTES>()?;
    let (timestamp, length) = head.split_at(8);
    let timestamp = i64::from_le_bytes(timestamp.try_into().ok()?);
    let length = u32::from_le_bytes(length.try_into().ok()?) as usize;
    let (value, after) = rest.split_at_checked(length)?;
    Some((LogRecord { timestamp, value }, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::damage::each_damage;
    use crate::checkpoint::storage::{MemoryStorage, get, put};
    use crate::error::ErrorKind;
    use crate::model::TIME_NONE;

    fn write(storage: &MemoryStorage, records: &[(i64, &[u8])]) -> FileRef {
        let mut log = LogWriter::create(storage, "log").expect("made");
        for &(timestamp, value) in records {
            log.push(LogRecord { timestamp, value }).expect("written");
        }
        let (file, reference) = log.seal().expect("written");
        file.finish().expect("finished");
        reference
    }

    fn read_all(storage: &MemoryStorage, file: &FileRef) -> Result<Vec<(i64, Vec<u8>)>> {
        let mut records = Vec::new();
        read(storage, file, &mut |record| {
            records.push((record.timestamp, record.value.to_vec()));
            Ok(())
        })?;
        Ok(records)
    }

    const RECORDS: [(i64, &[u8]); 3] = [(7, b"a,1"), (TIME_NONE, b""), (-1, b"b\n")];

    #[test]
    fn reads_what_it_writes_also_over_several_chunks() {
        let storage = MemoryStorage::default();
        let long = vec![b'x'; CHUNK_BYTES / 2];
        let many: Vec<(i64, &[u8])> = (0..9).map(|time| (time, long.as_slice())).collect();
        for records in [&[][..], &RECORDS, &many] {
            let file = write(&storage, records);
            let found = read_all(&storage, &file).expect("whole");
            let expected: Vec<_> =
                records.iter().map(|(time, value)| (*time, value.to_vec())).collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn finds_every_flipped_bit_and_every_truncation() {
        let storage = MemoryStorage::default();
        let file = write(&storage, &RECORDS);
        let whole = get(&storage, "log").expect("there");
        let check = |bytes: &[u8], what: &str| {
            put(&storage, "log", bytes).expect("written");
            let error = read_all(&storage, &file).expect_err(what);
            assert_eq!(error.kind, ErrorKind::Corruption, "{what}: {error}");
        };
        each_damage(&whole, check);
        check(&[&whole[..], b"x"].concat(), "one more byte");
    }

    /// The format of version 1 can be read for ever.
    #[test]
    fn reads_format_1() {
        let storage = MemoryStorage::default();
        put(&storage, "log", include_bytes!("fixtures/sink-log-1")).expect("written");
        let file = write(&MemoryStorage::default(), &RECORDS);
        let found = read_all(&storage, &file).expect("valid");
        assert_eq!(found, RECORDS.map(|(time, value)| (time, value.to_vec())));
    }
}
