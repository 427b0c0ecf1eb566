//! What the suite stands on: the real binary, components, folders, job files, and oracles to
//! compare with. Used by `tests/suite` only.
//!
//! ```text
//! random, data --> input --> job --> binary --> lines -- compared with --> oracle
//! ```

pub mod binary;
pub mod chameleon;
pub mod counted;
pub mod counting;
pub mod counts;
pub mod data;
pub mod folder;
pub mod job;
pub mod kinds;
pub mod lines;
pub mod mutants;
pub mod oracle;
pub mod random;
pub mod servers;
pub mod simulation;
pub mod swapping;

pub use binary::{Ended, Tidegate};
pub use folder::Folder;
pub use job::Job;
pub use lines::Sink;
