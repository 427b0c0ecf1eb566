//! The span of time that a window is about.

use serde::{Deserialize, Serialize};

/// From `start` up to, not including, `end`, both in milliseconds. Flink's `TimeWindow`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeWindow {
    /// The first millisecond.
    pub start: i64,
    /// The millisecond after the last.
    pub end: i64,
}

impl TimeWindow {
    /// All of time: what a count window gets, which is about no time. Flink's `GlobalWindow`.
    pub const GLOBAL: TimeWindow = TimeWindow { start: i64::MIN, end: i64::MAX };

    /// The last millisecond, which the watermark must reach for the window to fire.
    #[inline]
    pub fn max_timestamp(self) -> i64 {
        self.end.saturating_sub(1)
    }

    /// Whether the two have a millisecond in common, or one ends where the other starts.
    pub(super) fn intersects(self, other: TimeWindow) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The smallest window that has both in it.
    pub(super) fn cover(self, other: TimeWindow) -> TimeWindow {
        TimeWindow { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}
