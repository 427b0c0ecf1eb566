//! What all stores of a process share: memory, as one number, and background threads.

use std::thread::available_parallelism;

use rocksdb::{Cache, Env, WriteBufferManager};

/// The least write buffer of a store; smaller ones make too many small files.
const WRITE_BUFFER_BYTES_MIN: usize = 1 << 20;

/// The largest write buffer of a store. Its partition stands still while a barrier flushes it.
const WRITE_BUFFER_BYTES_MAX: usize = 32 << 20;

/// What all stores of a process share. Half of the budget is for the cells above them, a quarter
/// for blocks of their files, a quarter for what they have not written to files yet.
///
/// The last two are one cache, which counts both: blocks get what write buffers leave. At most two
/// write buffers of each store exist at a time; if all are full, there is no room for blocks.
pub struct Memory {
    cells_bytes: usize,
    pub(super) write_buffer_bytes: usize,
    pub(super) blocks: Cache,
    pub(super) write_buffers: WriteBufferManager,
    pub(super) threads: Env,
}

impl Memory {
    /// A budget of so many bytes for the stores of so many partitions. With little for many, write
    /// buffers have 1 MiB each nevertheless.
    pub fn new(bytes: u64, partitions: usize) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let partitions = partitions.max(1);
        let blocks = Cache::new_lru_cache(bytes / 2);
        // It has stores flush early and never makes a writer wait: that wait would not end when the
        // flush fails.
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
            threads: threads(),
        }
    }

    /// The budget of the cells of one partition.
    pub fn cells_bytes(&self) -> usize {
        self.cells_bytes
    }
}

/// RocksDB's background threads, the same for all budgets of a process.
fn threads() -> Env {
    let processors = available_parallelism().map_or(1, |count| count.get());
    let processors = i32::try_from(processors).unwrap_or(i32::MAX);
    let mut threads = Env::new().expect("RocksDB always has an environment");
    // All stores flush at the same time, after a barrier.
    threads.set_high_priority_background_threads(processors);
    // Nobody waits for flushes and compactions as long as files are few, but records may wait for a
    // processor. If files become many, writers stop until they are fewer, which leaves processors
    // to the compaction.
    threads.lower_high_priority_thread_pool_cpu_priority();
    threads.lower_thread_pool_cpu_priority();
    // Compactions leave room for those who process records.
    threads.set_low_priority_background_threads((processors / 2).max(1));
    threads
}
