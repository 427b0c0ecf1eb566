//! One partition of an operator: a function, its keyed state and its timers, without threads and
//! channels.
//!
//! Takes batches and watermarks in order, gives batches of outputs. The results are those of
//! processing one record after the other, each followed by its watermark; see
//! `docs/decisions/0002-batches-are-invisible.md` for how batches stay large all the same.

mod capture;
mod firing;
mod fixture;
mod migration;
mod outputs;
mod partition;
mod partition_state;
mod rejected;
mod replay;
mod segment;
mod shadow;

pub use capture::{CAPTURES_MAX, Captures};
pub use firing::Firings;
pub use fixture::{
    FIXTURE_VERSION, Fixture, FixtureInput, FixtureKey, FixtureOperatorState, FixtureRecord,
    FixtureState,
};
pub use outputs::Outputs;
pub use partition::{Operator, OperatorSettings, Replacement};
pub use rejected::{Cause, Rejected, Rejections};
pub use replay::{Replay, replay};
pub use shadow::{Shadow, ShadowReport};
