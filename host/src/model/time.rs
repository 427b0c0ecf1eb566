//! Event time and processing time, both as milliseconds since the epoch in an `i64`.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The watermark of an input that has said nothing yet.
pub const TIME_NONE: i64 = i64::MIN;

/// The watermark of an input that has ended: every event-time timer is due.
pub const TIME_END: i64 = i64::MAX;

/// A duration as one adds it to times.
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Which clock a timer or a time to live follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeDomain {
    /// The watermark of the stream.
    Event,
    /// The host's clock.
    Processing,
}
