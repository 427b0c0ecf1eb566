//! Keyed state, timers and operator state of one partition. Knows nothing of wasm, threads or
//! checkpoints' files.
//!
//! What keys have is addressed by [`Slot`]: the place of a key in the partition's [`KeyTable`],
//! found once a record by the hash that the record carries. What a slot holds is in the encoding of
//! the contract's `state-column`, so that reading state for a call is a copy of bytes.
//!
//! ```text
//! KeyedState   keys -> slots; columns of cells; timers; a snapshot under way
//!   hashmap    that is all
//!   rocksdb    the cells are a bounded write-back cache above a Store
//! ```

mod cache;
mod cell;
mod column;
pub mod entry;
mod key_table;
mod keyed;
mod layout;
mod lifetimes;
mod long;
mod operator_state;
#[cfg(feature = "rocksdb")]
pub mod rocksdb;
mod settling;
mod snapshot;
mod store;
#[cfg(all(test, feature = "rocksdb"))]
mod tests;
mod timers;

pub use cell::{LONG_BYTES, is_encoding};
pub use column::{Held, HeldCell, StateChange};
pub use key_table::{AHEAD, KeyTable, Slot};
pub use keyed::KeyedState;
pub use layout::{Fate, Layout, Move, Stamps, StateForm};
pub use lifetimes::{Lifetimes, Restamp, StateSettings};
pub use long::{LongList, LongMap};
pub use operator_state::{
    OperatorCell, OperatorForm, OperatorState, OperatorStateColumn, changed_forms, redistribute,
};
pub use settling::CellToMigrate;
pub use store::{
    Freezing, Frozen, FrozenEntries, LocalFile, LocalTables, Scanned, Store, StoredKey,
};
pub use timers::Timers;

/// How a snapshot is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotForm {
    /// As suits the backend.
    Native,
    /// As entries, which every backend reads.
    Canonical,
}
