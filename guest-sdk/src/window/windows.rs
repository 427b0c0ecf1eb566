//! [`Windows`]: which windows there are, as an author says it and as it is checked.

use std::time::Duration;

use super::TimeWindow;
use super::clock::Clock;
use crate::bail;
use crate::context::TimeDomain;
use crate::error::Result;
use crate::state::{StateValue, Step};

/// Which windows a record belongs to, on which clock, and how late it may come.
///
/// Durations count in whole milliseconds; what is finer is cut off.
#[derive(Clone, Debug)]
#[must_use = "`open` returns it beside the function"]
pub struct Windows {
    pub(super) kind: Kind,
    offset: Duration,
    allowed_lateness: Duration,
    domain: TimeDomain,
    pub(super) schema_version: u32,
    pub(super) steps: Vec<Step>,
}

/// The kind of windows, as the author says it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Tumbling { size: Duration },
    Sliding { size: Duration, slide: Duration },
    Session { gap: Duration },
    Count { size: u64 },
}

/// Windows of one length that start at regular times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aligned {
    pub(super) size: i64,
    pub(super) slide: i64,
    pub(super) offset: i64,
}

impl Windows {
    /// Windows of one size, one after the other; a record is in one of them. Flink's
    /// `TumblingEventTimeWindows`.
    pub fn tumbling(size: Duration) -> Self {
        Self::new(Kind::Tumbling { size })
    }

    /// Windows of one size, of which one starts every `slide`. A record is in each that has its
    /// time, in none if its time is between two. Flink's `SlidingEventTimeWindows`.
    pub fn sliding(size: Duration, slide: Duration) -> Self {
        Self::new(Kind::Sliding { size, slide })
    }

    /// Windows that end when a key has had no record for `gap`. Flink's `EventTimeSessionWindows`.
    pub fn session(gap: Duration) -> Self {
        Self::new(Kind::Session { gap })
    }

    /// Windows of every `size` records of a key, whatever their times. Flink's `countWindow`.
    pub fn count(size: u64) -> Self {
        Self::new(Kind::Count { size })
    }

    /// Tumbling and sliding windows start so long after the multiples of the size or slide, counted
    /// from 1970 in UTC. Default 0; less than the size or slide. Days that begin at midnight in UTC
    /// + 8 are windows of 24 h with an offset of 16 h.
    pub fn offset(mut self, offset: Duration) -> Self {
        self.offset = offset;
        self
    }

    /// How long the state of a window stays once the watermark has passed its end. A record that
    /// comes meanwhile is added and fires the window again at once. Default 0.
    pub fn allowed_lateness(mut self, lateness: Duration) -> Self {
        self.allowed_lateness = lateness;
        self
    }

    /// Windows go by the host's clock, and no record is late. Default event time.
    pub fn processing_time(mut self) -> Self {
        self.domain = TimeDomain::ProcessingTime;
        self
    }

    /// The version of the accumulator's encoding, 1 unless set: raise it when the accumulator's
    /// type changes so that old bytes would be misread, and say by [`migrate`](Self::migrate) what
    /// becomes of them.
    pub fn schema_version(mut self, version: u32) -> Self {
        self.schema_version = version;
        self
    }

    /// Declares the step from schema version `from` of the accumulator to the next, as
    /// [`StateBuilder::migrate`](crate::state::StateBuilder::migrate) does for other state.
    pub fn migrate<Old: StateValue, New: StateValue>(
        mut self,
        from: u32,
        step: impl Fn(Old) -> Result<New> + 'static,
    ) -> Self {
        // Sessions and counts are kept beside their accumulators.
        self.steps.push(match self.kind {
            Kind::Tumbling { .. } | Kind::Sliding { .. } => {
                Step::of_value(from, move |_, old| step(old).map(Some))
            }
            Kind::Session { .. } => {
                Step::of_value(from, move |_, (end, old): (i64, Old)| Ok(Some((end, step(old)?))))
            }
            Kind::Count { .. } => Step::of_value(from, move |_, (count, old): (u64, Old)| {
                Ok(Some((count, step(old)?)))
            }),
        });
        self
    }

    fn new(kind: Kind) -> Self {
        Self {
            kind,
            offset: Duration::ZERO,
            allowed_lateness: Duration::ZERO,
            domain: TimeDomain::EventTime,
            schema_version: 1,
            steps: Vec::new(),
        }
    }

    /// Refuses what no window can have.
    pub(super) fn check(&self) -> Result<()> {
        match self.kind {
            Kind::Tumbling { size } => {
                check_length("`Windows::tumbling`", "size", size)?;
                self.check_offset("`Windows::tumbling`", "size", size)?;
            }
            Kind::Sliding { size, slide } => {
                check_length("`Windows::sliding`", "size", size)?;
                check_length("`Windows::sliding`", "slide", slide)?;
                self.check_offset("`Windows::sliding`", "slide", slide)?;
            }
            Kind::Session { gap } => {
                check_length("`Windows::session`", "gap", gap)?;
                self.refuse_offset("`Windows::session`")?;
            }
            Kind::Count { size } => {
                if size == 0 {
                    bail!("`Windows::count`: the size is 0; a window has at least 1 record");
                }
                self.refuse_offset("`Windows::count`")?;
                self.refuse_lateness("count windows do not end with time, so no record is late")?;
                if self.domain == TimeDomain::ProcessingTime {
                    bail!("`Windows::count` has no clock; leave `.processing_time()` out");
                }
            }
        }
        if self.domain == TimeDomain::ProcessingTime {
            self.refuse_lateness("in processing time no record is late")?;
        }
        Ok(())
    }

    /// The windows of [`Kind::Tumbling`] or [`Kind::Sliding`].
    pub(super) fn aligned(&self, size: Duration, slide: Duration) -> Aligned {
        Aligned {
            // Not zero, also while describing, where nothing is checked.
            size: milliseconds(size).max(1),
            slide: milliseconds(slide).max(1),
            offset: milliseconds(self.offset),
        }
    }

    /// By what and when windows fire and are cleared.
    pub(super) fn clock(&self) -> Clock {
        Clock { domain: self.domain, lateness: milliseconds(self.allowed_lateness) }
    }

    fn check_offset(&self, windows: &str, what: &str, length: Duration) -> Result<()> {
        let offset = self.offset;
        if milliseconds(offset) < milliseconds(length) {
            return Ok(());
        }
        bail!("{windows}: the offset is {offset:?}; it must be less than the {what}, {length:?}")
    }

    fn refuse_offset(&self, windows: &str) -> Result<()> {
        if self.offset.is_zero() {
            return Ok(());
        }
        bail!("{windows} has no offset, as tumbling and sliding windows have; leave `.offset` out")
    }

    fn refuse_lateness(&self, why: &str) -> Result<()> {
        if self.allowed_lateness.is_zero() {
            return Ok(());
        }
        bail!("{why}; leave `.allowed_lateness` out")
    }
}

fn check_length(windows: &str, what: &str, length: Duration) -> Result<()> {
    if milliseconds(length) > 0 {
        return Ok(());
    }
    bail!("{windows}: the {what} is {length:?}; it must be at least 1ms")
}

/// A duration as times count, at most the longest there is.
pub(super) fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Aligned {
    /// The windows that have `time` in them, the latest first. They end with time where they would
    /// go beyond it.
    #[inline]
    pub(super) fn windows(self, time: i64) -> impl Iterator<Item = TimeWindow> {
        // How long before `time` the last window starts. Euclid rounds down also before 1970, and
        // the offset is taken off last, since `time - offset` may not be a time.
        let mut last = time.rem_euclid(self.slide) - self.offset;
        if last < 0 {
            last += self.slide;
        }
        std::iter::successors(Some(last), move |before| before.checked_add(self.slide))
            .take_while(move |before| *before < self.size)
            .map(move |before| TimeWindow {
                start: time.saturating_sub(before),
                end: time.saturating_add(self.size - before),
            })
    }
}
