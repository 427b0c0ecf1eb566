//! The store of the `rocksdb` backend: the states of one partition in one RocksDB, below the cache
//! that all backends on disk share. Timers are not here; they stay in memory.
//!
//! ```text
//! <state.directory>/tidegate-<job>-<process>-0/      WorkingFolder: gone with the attempt
//!   count-0/                                         RocksDbStore: one RocksDB
//!   count-0.frozen-3/                                its files at a barrier, as hard links
//! <state.directory>/tidegate-<job>-<process>-0.lock  held as long as the folder is in use
//! ```
//! Nothing here is durable, nor has to be: whoever loses a working folder goes back to the newest
//! checkpoint. So there is no write-ahead log.

mod failure;
mod frozen;
mod import;
mod key;
mod memory;
mod options;
mod scan;
mod store;
#[cfg(test)]
mod tests;
mod working_folder;

pub use memory::Memory;
pub use scan::read_tables;
pub use store::RocksDbStore;
pub use working_folder::WorkingFolder;
