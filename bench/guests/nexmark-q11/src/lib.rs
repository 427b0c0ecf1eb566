//! Nexmark query 11: how many bids each bidder made in each session, which ends after 10 s without
//! one: `bidder,bids,start_ms,end_ms`.

use serde::de::IgnoredAny as Any;
use tidegate_sdk::prelude::*;

const GAP_MS: i64 = 10_000;

struct Sessions {
    /// Start, end and number of bids of each open session, which do not overlap.
    sessions: ListState<(i64, i64, u64)>,
}

impl KeyedProcessFunction for Sessions {
    /// `auction,bidder,price,time_ms,extra`
    type In<'a> = Csv<(Any, Any, Any, i64, Any)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { sessions: setup.list_state("sessions") })
    }

    fn process_element(
        &mut self,
        Csv((_, _, _, time, _)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let (mut start, mut end, mut bids) = (time, time + GAP_MS, 1);
        let mut sessions = self.sessions.get(ctx)?;
        sessions.retain(|session| {
            // Those that only touch are two: whether a bid comes in time is never in doubt.
            let overlaps = session.0 < end && start < session.1;
            if overlaps {
                (start, end) = (start.min(session.0), end.max(session.1));
                bids += session.2;
            }
            !overlaps
        });
        sessions.push((start, end, bids));
        ctx.register_event_time_timer(end - 1);
        self.sessions.update(ctx, &sessions)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let mut sessions = self.sessions.get(ctx)?;
        let bidder = ctx.key_str()?;
        let before = sessions.len();
        sessions.retain(|(start, end, bids)| {
            let is_over = end - 1 <= timer.timestamp;
            if is_over {
                ctx.collect_fmt(format_args!("{bidder},{bids},{start},{end}"));
            }
            !is_over
        });
        // Most timers are those of sessions that went on.
        if sessions.len() < before { self.sessions.update(ctx, &sessions) } else { Ok(()) }
    }
}

tidegate_sdk::export!(keyed_process: Sessions);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn a_bid_between_two_sessions_joins_them() -> Result<()> {
        let mut sessions = Harness::keyed_process::<Sessions>().open()?;
        sessions.push("5", "1,5,300,1000,x", 1_000)?;
        sessions.push("5", "1,5,300,15000,x", 15_000)?;
        sessions.push("5", "1,5,300,9000,x", 9_000)?;
        sessions.push("5", "1,5,300,40000,x", 40_000)?;
        assert_eq!(sessions.finish()?, ["5,3,1000,25000", "5,1,40000,50000"]);
        Ok(())
    }
}
