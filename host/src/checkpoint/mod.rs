//! Checkpoints as things that lie in a storage: what they hold, how they are written so that a
//! crash at any moment leaves the previous one whole, how they are found and checked again.
//!
//! Knows nothing of wasm, tasks or threads.
//!
//! ```text
//! <storage>/chk-17/manifest              written last: no manifest, no checkpoint
//! <storage>/chk-17/<operator>-<partition>.state    states and timers, see `state_file`
//! <storage>/chk-17/<operator>-<partition>.operator operator states, in the same format
//! <storage>/chk-17/<operator>-<partition>.CURRENT  … RocksDB's small files
//! <storage>/shared/<run>-<operator>-<partition>-000042.sst   shared by checkpoints
//! <storage>/shared/<checkpoint>-<operator>-<digest>.wasm     the code of an operator
//! <storage>/sinks/<sink>/…       output that waits for its checkpoint, see `committer`
//! <storage>/savepoints/sp-18/manifest    a savepoint without a place of its own; no shared files
//! <storage>/finished             a run came to its end; what is older is nothing to go on from
//! ```

pub mod catalog;
pub mod checked;
pub mod code;
mod commit;
mod committer;
mod coordinator;
#[cfg(test)]
mod damage;
pub mod forms;
mod hex;
mod in_flight;
pub mod manifest;
mod protocol;
pub mod reading;
pub mod sink_log;
pub mod state_file;
pub mod storage;
mod swap;
#[cfg(feature = "rocksdb")]
pub mod tables;

pub use catalog::Catalog;
pub use code::Code;
pub use commit::{Commits, Monitor, is_output};
pub use committer::{Committer, LoggedSink, Logs, Marker, log_folder};
pub use coordinator::Coordinator;
pub use manifest::Manifest;
pub use protocol::{
    Acknowledgement, Action, Completed, CoordinatorSettings, OperatorOf, Part, Policy, Progress,
    RequestId, SwapPlan, Target, Unconfirmed,
};
pub use storage::{Storage, StorageWriter};

/// How manifests name the program that wrote them.
pub(crate) const WRITTEN_BY: &str = concat!("tidegate ", env!("CARGO_PKG_VERSION"));
