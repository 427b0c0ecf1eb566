//! One partition of an operator: a function, its keyed state and its timers, without threads and
//! channels.
//!
//! Takes batches and watermarks in order, gives batches of outputs. The results are those of
//! processing one record after the other, each followed by its watermark; see
//! `docs/decisions/0002-batches-are-invisible.md` for how batches stay large all the same.

mod firing;
mod migration;
mod outputs;
mod partition;
mod partition_state;
mod rejected;
mod segment;
mod shadow;

pub use firing::Firings;
pub use outputs::Outputs;
pub use partition::{Operator, OperatorSettings, Replacement};
pub use rejected::{Cause, Rejected, Rejections};
pub use shadow::{Shadow, ShadowReport};
