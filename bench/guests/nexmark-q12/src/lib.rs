//! Nexmark query 12: how many bids each bidder made in each 10 s by the clock:
//! `bidder,bids,start_ms`.
//!
//! Windows that are open when the input ends are told by an event-time timer at the end of time, so
//! that every bid is told in some window.

use tidegate_sdk::prelude::*;

const SIZE_MS: i64 = 10_000;

struct Counts {
    /// The start of the open window and its bids.
    window: ValueState<(i64, u64)>,
}

fn tell((start, bids): (i64, u64), ctx: &mut KeyedContext<'_, String>) -> Result<()> {
    let bidder = ctx.key_str()?;
    ctx.collect_fmt(format_args!("{bidder},{bids},{start}"));
    Ok(())
}

impl KeyedProcessFunction for Counts {
    /// `auction,bidder,price,time_ms,extra`, of which the key says all that is needed.
    type In<'a> = &'a [u8];
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { window: setup.value_state("window") })
    }

    fn process_element(&mut self, _: &[u8], ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let now = ctx.processing_time();
        let start = now - now.rem_euclid(SIZE_MS);
        match self.window.value(ctx)? {
            Some((open, bids)) if open == start => {
                return self.window.update(ctx, &(start, bids + 1));
            }
            Some(over) => tell(over, ctx)?,
            None => {}
        }
        ctx.register_processing_time_timer(start + SIZE_MS - 1);
        ctx.register_event_time_timer(i64::MAX);
        self.window.update(ctx, &(start, 1))
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let Some(window) = self.window.value(ctx)? else { return Ok(()) };
        let is_over = window.0 + SIZE_MS - 1 <= timer.timestamp;
        if is_over || timer.domain == TimeDomain::EventTime {
            tell(window, ctx)?;
            self.window.clear(ctx);
        }
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: Counts);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn windows_end_by_the_clock_or_with_the_input() -> Result<()> {
        let mut counts = Harness::keyed_process::<Counts>().open()?;
        counts.push("5", "1,5,300,1000,x", 1_000)?;
        counts.push("5", "1,5,300,1000,x", 1_000)?;
        counts.advance_processing_time(10_000)?;
        assert_eq!(counts.take_output(), ["5,2,0"]);
        counts.push("5", "1,5,300,1000,x", 1_000)?;
        assert_eq!(counts.finish()?, ["5,1,10000"]);
        Ok(())
    }
}
