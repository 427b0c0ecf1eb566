//! How RocksDB is set up, where it differs from RocksDB's own defaults.
//!
//! Defaults that matter here and stay: checksums of all that is read, levels that grow from the
//! last one down, no `fsync` where `fdatasync` does. What cannot be had: no sync of files at all.

use rocksdb::compaction_filter::Decision as CompactionDecision;
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, DBCompressionType, LogLevel, Options, ReadOptions,
    WriteOptions,
};

use super::{Memory, key};
use crate::state::Lifetimes;

/// Files that one store keeps open. The usual limit of a process is 1024 for all of it.
const OPEN_FILES: i32 = 128;

/// Memory for a write buffer comes in blocks of so many bytes.
const ARENA_BLOCK_BYTES: usize = 64 << 10;

/// New files of the first level at which writers wait for compaction. Every read looks into each.
pub(super) const NEW_FILES_MAX: u32 = 10;

/// For a store that lives within `memory`.
pub(super) fn for_store(memory: &Memory, lifetimes: &Lifetimes) -> Options {
    let mut options = for_reading();
    if lifetimes.clean_up_in_compaction() {
        let lifetimes = lifetimes.clone();
        options.set_compaction_filter("tidegate-ttl", move |_level, key, cell| {
            let state = key::read(key).map(|stored| stored.state);
            let is_over = state.is_some_and(|state| lifetimes.has_expired(state, cell));
            if is_over { CompactionDecision::Remove } else { CompactionDecision::Keep }
        });
    }
    let mut tables = BlockBasedOptions::default();
    tables.set_block_cache(&memory.blocks);
    // Filters and indices count as memory too; those of new files are needed by every read.
    tables.set_cache_index_and_filter_blocks(true);
    tables.set_pin_l0_filter_and_index_blocks_in_cache(true);
    // In small parts: whole ones are as large as a hundred blocks, and where they do not fit into
    // the cache a read of one key would bring one in and check it.
    tables.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    tables.set_partition_filters(true);
    tables.set_pin_top_level_index_and_filter(true);
    // Most keys that a job asks for the first time are new: 99 of 100 such questions end here.
    tables.set_bloom_filter(10.0, false);
    options.set_block_based_table_factory(&tables);
    options.set_write_buffer_manager(&memory.write_buffers);
    options.set_write_buffer_size(memory.write_buffer_bytes);
    // Every read looks into the write buffers first, mostly in vain.
    options.set_memtable_whole_key_filtering(true);
    options.set_memtable_prefix_bloom_ratio(0.02);
    // The default is 1 MiB. Many stores with a small budget would be over it with a block each.
    options.set_arena_block_size(ARENA_BLOCK_BYTES);
    // A store has one writer.
    options.set_allow_concurrent_memtable_write(false);
    // Tables are uploaded: time spent on making them smaller comes back.
    options.set_compression_type(DBCompressionType::Lz4);
    // Two background jobs a store, as by default, on threads that all stores share.
    options.set_env(&memory.threads);
    // Writes go on or are stopped. A slower pace would be waiting within RocksDB, which
    // `RocksDbStore::wait_while` avoids.
    options.set_level_zero_slowdown_writes_trigger(NEW_FILES_MAX as i32);
    options.set_level_zero_stop_writes_trigger(NEW_FILES_MAX as i32);
    options.set_soft_pending_compaction_bytes_limit(0);
    // Every checkpoint carries the manifest, which grows with each flush until it is begun again.
    options.set_max_manifest_file_size(64 << 10);
    options
}

/// For files that nobody writes to.
pub(super) fn for_reading() -> Options {
    // These two have names only. A disk that fails ends the attempt, so RocksDB need not try again
    // by itself; and what was not flushed when a store is closed is in a checkpoint or given up.
    let mut options = Options::default()
        .get_options_from_string("max_bgerror_resume_count=0;avoid_flush_during_shutdown=true")
        .expect("these are names of the RocksDB that this is built with");
    options.set_max_open_files(OPEN_FILES);
    // Nobody reads its log or its statistics.
    options.set_log_level(LogLevel::Error);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options
}

/// For all writes.
pub(super) fn of_writes() -> WriteOptions {
    let mut options = WriteOptions::default();
    // A crash goes back to a checkpoint, which needs no log.
    options.disable_wal(true);
    // Come back at once where a write would have to wait.
    options.set_no_slowdown(true);
    options
}

/// For reading everything between two bounds once.
pub(super) fn of_scans() -> ReadOptions {
    let mut options = ReadOptions::default();
    // It would drive out what the job uses.
    options.fill_cache(false);
    options
}
