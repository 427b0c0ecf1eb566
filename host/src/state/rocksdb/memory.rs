//! What the `rocksdb` backend may use of memory, as one number for the whole process.

use rocksdb::{Cache, WriteBufferManager};

/// The least write buffer of a store; smaller ones make too many small files.
const WRITE_BUFFER_BYTES_MIN: usize = 1 << 20;

/// The largest write buffer of a store, RocksDB's default; larger ones take longer to search and are
/// flushed in files that are too large for the levels below.
const WRITE_BUFFER_BYTES_MAX: usize = 64 << 20;

/// A budget that all stores of a process share: half for the cells above them, a quarter for blocks
/// of their files, a quarter for what they have not written to files yet.
///
/// The last two are one cache, which counts both: blocks get what write buffers leave. At most two
/// write buffers of each store exist at a time; if all are full, there is no room for blocks.
pub struct Memory {
    cells_bytes: usize,
    pub(super) write_buffer_bytes: usize,
    pub(super) blocks: Cache,
    pub(super) write_buffers: WriteBufferManager,
}

impl Memory {
    /// A budget of so many bytes for the stores of so many partitions.
    pub fn new(bytes: u64, partitions: usize) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let partitions = partitions.max(1);
        let blocks = Cache::new_lru_cache(bytes / 2);
        // It has stores flush early and never makes a writer wait, since that wait would not end when
        // the flush fails.
        let can_stall = false;
        let write_buffers = WriteBufferManager::new_write_buffer_manager_with_cache(
            bytes / 4,
            can_stall,
            blocks.clone(),
        );
        let fair_bytes = bytes / 4 / partitions;
        Self {
            cells_bytes: bytes / 2 / partitions,
            write_buffer_bytes: fair_bytes.clamp(WRITE_BUFFER_BYTES_MIN, WRITE_BUFFER_BYTES_MAX),
            blocks,
            write_buffers,
        }
    }

    /// The budget of the cells of one partition.
    pub fn cells_bytes(&self) -> usize {
        self.cells_bytes
    }
}
