//! Windows in time, after Flink's `WindowOperator`: which windows a record goes to, when they fire
//! and when they are forgotten.
//!
//! A timer belongs to a key and a time, not to a window: one that fires looks at all windows of the
//! key. Each window has one timer at a time, so that of a window that is forgotten has fired.

use super::clock::Clock;
use super::panes::Panes;
use super::windows::Aligned;
use super::{TimeWindow, WindowFunction};
use crate::context::WindowContext;
use crate::error::Result;
use crate::state::StateValue;

/// Windows in time of a function whose accumulator is `A`.
pub(crate) struct Timed<A> {
    pub(super) clock: Clock,
    pub(super) panes: Panes<A>,
}

impl<A: StateValue> Timed<A> {
    /// Adds a record to its windows, and fires those whose time has passed. Gives whether it was in
    /// time for one.
    #[inline]
    pub(super) fn add<F: WindowFunction<Acc = A>>(
        &self,
        function: &mut F,
        value: &F::In<'_>,
        ctx: &mut WindowContext<'_, F::Out>,
    ) -> Result<bool> {
        let time = self.clock.time_of_record(ctx)?;
        let is_added = match &self.panes {
            Panes::Aligned(aligned, _) => self.add_aligned(*aligned, time, function, value, ctx)?,
            Panes::Session { gap, .. } => {
                let of_record = TimeWindow { start: time, end: time.saturating_add(*gap) };
                self.add_to_session(of_record, function, value, ctx)?
            }
        };
        // A record between two sliding windows is in none and yet not late.
        Ok(is_added || !self.clock.is_late(time, self.clock.now(ctx)))
    }

    /// Acts on a timer of a key.
    pub(super) fn on_timer<F: WindowFunction<Acc = A>>(
        &self,
        time: i64,
        function: &mut F,
        ctx: &mut WindowContext<'_, F::Out>,
    ) -> Result<()> {
        let windows = self.panes.windows(ctx)?;
        let mut is_of_window = false;
        for window in windows.iter().copied() {
            let is_due = self.clock.fire_time(window) == time;
            let is_over = self.clock.cleanup_time(window) <= time;
            is_of_window |= is_due || is_over;
            let fires = if is_due { self.panes.get(ctx, window)? } else { None };
            if is_over {
                self.panes.remove(ctx, window)?;
            } else if is_due {
                self.clock.register(ctx, self.clock.cleanup_time(window));
            }
            if let Some(accumulator) = fires {
                function.window(window, accumulator, ctx)?;
            }
        }
        if !is_of_window {
            // The job went on with more lateness than the timer was registered with.
            let fired = windows.iter().filter(|window| self.clock.fire_time(**window) < time);
            fired.for_each(|window| self.clock.register(ctx, self.clock.cleanup_time(*window)));
        }
        Ok(())
    }

    /// Adds a record to all windows of its time that are not over. Gives whether there were any.
    #[inline]
    fn add_aligned<F: WindowFunction<Acc = A>>(
        &self,
        aligned: Aligned,
        time: i64,
        function: &mut F,
        value: &F::In<'_>,
        ctx: &mut WindowContext<'_, F::Out>,
    ) -> Result<bool> {
        let now = self.clock.now(ctx);
        let mut is_added = false;
        for window in aligned.windows(time) {
            if self.clock.cleanup_time(window) <= now {
                continue;
            }
            is_added = true;
            let before = self.panes.get(ctx, window)?;
            if before.is_none() {
                self.clock.register(ctx, self.clock.timer_of(window, now));
            }
            self.add_to(window, before, function, value, ctx)?;
        }
        Ok(is_added)
    }

    /// Adds a record to the session that its own window makes with all that it touches. Gives
    /// whether that one is not over.
    fn add_to_session<F: WindowFunction<Acc = A>>(
        &self,
        of_record: TimeWindow,
        function: &mut F,
        value: &F::In<'_>,
        ctx: &mut WindowContext<'_, F::Out>,
    ) -> Result<bool> {
        let (now, clock) = (self.clock.now(ctx), self.clock);
        let windows = self.panes.windows(ctx)?;
        let (mut merged, others): (Vec<_>, Vec<_>) =
            windows.into_iter().partition(|window| window.intersects(of_record));
        let session = merged.iter().copied().fold(of_record, TimeWindow::cover);
        if clock.cleanup_time(session) <= now {
            return Ok(false);
        }
        merged.sort_unstable();
        let mut before = None;
        for window in merged.iter().copied() {
            let part = self.panes.get(ctx, window)?;
            before = match (before, part) {
                (Some(earlier), Some(later)) => Some(function.merge(earlier, later)),
                (before, part) => before.or(part),
            };
            if window.start != session.start {
                self.panes.remove(ctx, window)?;
            }
        }
        if merged != [session] {
            let of_others = |time| others.iter().any(|other| clock.timer_of(*other, now) == time);
            let timers = merged.iter().map(|window| clock.timer_of(*window, now));
            // IMPORTANT: another window may have its timer at the same time.
            timers.filter(|time| !of_others(*time)).for_each(|time| clock.delete(ctx, time));
            clock.register(ctx, clock.timer_of(session, now));
        }
        self.add_to(session, before, function, value, ctx)?;
        Ok(true)
    }

    /// Adds a record to a window that has `before` so far, and fires it if its time has passed.
    #[inline]
    fn add_to<F: WindowFunction<Acc = A>>(
        &self,
        window: TimeWindow,
        before: Option<A>,
        function: &mut F,
        value: &F::In<'_>,
        ctx: &mut WindowContext<'_, F::Out>,
    ) -> Result<()> {
        let mut accumulator = before.unwrap_or_else(|| function.create_accumulator());
        function.add(value, &mut accumulator)?;
        let accumulator = self.panes.put(ctx, window, accumulator)?;
        if self.clock.fire_time(window) <= self.clock.now(ctx) {
            function.window(window, accumulator, ctx)?;
        }
        Ok(())
    }
}
