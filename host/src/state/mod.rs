//! Keyed state and timers of one partition. Knows nothing of wasm, threads or files.
//!
//! Both are addressed by [`Slot`]: the place of a key in the partition's [`KeyTable`], found once a
//! record by the hash that the record carries. What a slot holds is in the encoding of the
//! contract's `state-column`, so that reading state for a call is a copy of bytes.

mod cell;
mod hashmap;
mod key_table;
mod timers;

pub use hashmap::{HashMapBackend, StateChange};
pub use key_table::{KeyTable, Slot};
pub use timers::Timers;
