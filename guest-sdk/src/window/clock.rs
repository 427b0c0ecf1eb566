//! When windows fire, and when they are forgotten.

use super::TimeWindow;
use crate::context::{TimeDomain, WindowContext};
use crate::error::Result;
use crate::runtime::Call;

/// The clock of windows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    pub(super) domain: TimeDomain,
    /// How long a window that has fired is kept, in milliseconds. 0 in processing time.
    pub(super) lateness: i64,
}

impl Clock {
    /// The time by which the record at hand is in windows.
    #[inline]
    pub(super) fn time_of_record<O>(self, ctx: &WindowContext<'_, O>) -> Result<i64> {
        match self.domain {
            TimeDomain::EventTime => ctx.timestamp(),
            TimeDomain::ProcessingTime => Ok(ctx.processing_time()),
        }
    }

    /// Up to where time has come: all timers up to here have fired.
    #[inline]
    pub(super) fn now<O>(self, ctx: &WindowContext<'_, O>) -> i64 {
        match self.domain {
            TimeDomain::EventTime => ctx.current_watermark(),
            TimeDomain::ProcessingTime => ctx.processing_time(),
        }
    }

    /// When a window fires. After a watermark no more records of its time come, but while the clock
    /// stands still they do: in processing time the last millisecond must be over, as in Flink.
    #[inline]
    pub(super) fn fire_time(self, window: TimeWindow) -> i64 {
        match self.domain {
            TimeDomain::EventTime => window.max_timestamp(),
            TimeDomain::ProcessingTime => window.end,
        }
    }

    /// When a window is forgotten.
    #[inline]
    pub(super) fn cleanup_time(self, window: TimeWindow) -> i64 {
        self.fire_time(window).saturating_add(self.lateness)
    }

    /// The next thing that happens to a window: it fires, or, where it has, it is forgotten. A
    /// window has this one timer.
    #[inline]
    pub(super) fn timer_of(self, window: TimeWindow, now: i64) -> i64 {
        let fire_time = self.fire_time(window);
        if fire_time > now { fire_time } else { self.cleanup_time(window) }
    }

    /// Whether a record of `time` that is in no window comes too late for one.
    pub(super) fn is_late(self, time: i64, now: i64) -> bool {
        self.domain == TimeDomain::EventTime && time.saturating_add(self.lateness) <= now
    }

    #[inline]
    pub(super) fn register<O>(self, ctx: &mut WindowContext<'_, O>, time: i64) {
        let operation = match self.domain {
            TimeDomain::EventTime => Call::REGISTER_EVENT_TIME,
            TimeDomain::ProcessingTime => Call::REGISTER_PROCESSING_TIME,
        };
        ctx.call_mut().change_timer(time, operation);
    }

    pub(super) fn delete<O>(self, ctx: &mut WindowContext<'_, O>, time: i64) {
        let operation = match self.domain {
            TimeDomain::EventTime => Call::DELETE_EVENT_TIME,
            TimeDomain::ProcessingTime => Call::DELETE_PROCESSING_TIME,
        };
        ctx.call_mut().change_timer(time, operation);
    }
}
