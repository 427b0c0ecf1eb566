//! The words of the system as types: what flows, what a function declares, what it did wrong.
//!
//! Nothing here knows wasm, threads, files or terminals. Every other module may import this one.

mod batch;
mod bytes;
mod declaration;
mod digest;
mod fault;
mod folders;
pub mod hex;
mod key;
mod limits;
mod packed;
mod time;
mod ttl;

pub use batch::{Batch, Position, Record};
pub use bytes::Bytes;
pub use declaration::{
    Declaration, Format, Input, Kind, OperatorStateDeclaration, Output, Parameter, Redistribution,
    StateDeclaration, StateKind,
};
pub use digest::{Digest, NoDigest};
pub use fault::{Fault, FaultReason};
pub use folders::{FolderPattern, FolderSpan, NO_TIME_FOLDER, date};
pub use key::{KeyGroup, KeyHash, MAX_PARALLELISM_DEFAULT, MAX_PARALLELISM_LIMIT, PartitionId};
pub use limits::Limits;
pub use packed::Packed;
pub use time::{TIME_END, TIME_NONE, TimeDomain, millis};
pub use ttl::{STAMP_BYTES, Ttl, TtlUpdate, TtlVisibility, is_expired};
