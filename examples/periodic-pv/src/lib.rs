//! Counts the page views of each user and tells the count once a period.
//!
//! Shows `ValueState` and an event-time timer. The first event of a user starts a timer `period`
//! later; when the watermark passes it the count so far goes out, and the next event starts the
//! next timer. The count itself is never cleared.
//!
//! After `PeriodicPvResult`, a Flink `KeyedProcessFunction`. Run it with
//!
//! ```text
//! tidegate build examples/periodic-pv
//! tidegate run examples/periodic-pv/job.toml
//! ```

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// A click: `user,url,timestamp_ms`. One of the first two is the key, which comes with the context,
/// so only the time is read.
type Event = Csv<(IgnoredAny, IgnoredAny, i64)>;

struct PeriodicPv {
    period_ms: i64,
    count: ValueState<u64>,
    timer_ts: ValueState<i64>,
}

impl KeyedProcessFunction for PeriodicPv {
    type In<'a> = Event;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let period = setup.param("period", Duration::from_secs(10))?;
        Ok(Self {
            period_ms: i64::try_from(period.as_millis())?,
            count: setup.value_state("count"),
            timer_ts: setup.value_state("timer-ts"),
        })
    }

    fn process_element(
        &mut self,
        Csv((_user, _url, timestamp)): Event,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let count = self.count.value(ctx)?.unwrap_or(0) + 1;
        self.count.update(ctx, &count)?;

        if self.timer_ts.value(ctx)?.is_none() {
            let timer_ts = timestamp.saturating_add(self.period_ms);
            ctx.register_event_time_timer(timer_ts);
            self.timer_ts.update(ctx, &timer_ts)?;
        }
        Ok(())
    }

    fn on_timer(&mut self, _timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let count = self.count.value(ctx)?.unwrap_or(0);
        let user = ctx.key_str()?;
        ctx.collect_fmt(format_args!("{user} pv: {count}"));
        // The next event of this user starts the next period.
        self.timer_ts.clear(ctx);
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: PeriodicPv);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn tells_the_count_so_far_once_a_period() -> Result<()> {
        let mut pv = Harness::keyed_process::<PeriodicPv>().param("period", "10s").open()?;
        pv.push("alice", "alice,/home,1000", 1_000)?;
        pv.push("alice", "alice,/cart,2000", 2_000)?;
        assert_eq!(pv.event_time_timers("alice"), [11_000]);
        assert!(pv.take_output().is_empty());

        pv.advance_watermark(11_000)?;
        assert_eq!(pv.take_output(), ["alice pv: 2"]);
        assert_eq!(pv.value_state::<u64>("count", "alice")?, Some(2));
        assert_eq!(pv.value_state::<i64>("timer-ts", "alice")?, None);

        // The count goes on.
        pv.push("alice", "alice,/home,12000", 12_000)?;
        assert_eq!(pv.finish()?, ["alice pv: 3"]);
        Ok(())
    }

    #[test]
    fn users_do_not_share_counts_or_timers() -> Result<()> {
        let mut pv = Harness::keyed_process::<PeriodicPv>().open()?;
        pv.push_all([
            ("alice", "alice,/home,1000", 1_000),
            ("bob", "bob,/home,1500", 1_500),
            ("alice", "alice,/cart,1600", 1_600),
        ])?;
        assert_eq!(pv.finish()?, ["alice pv: 2", "bob pv: 1"]);
        Ok(())
    }

    #[test]
    fn a_line_that_is_no_event_is_malformed() -> Result<()> {
        let mut pv = Harness::keyed_process::<PeriodicPv>().open()?;
        let fault = pv.push("alice", "alice,/home", 1_000).unwrap_err();
        assert_eq!(fault.kind, tidegate_sdk::testing::FaultKind::Malformed);
        assert!(fault.message.contains("expected 3 fields, found 2"), "{fault}");
        Ok(())
    }
}
