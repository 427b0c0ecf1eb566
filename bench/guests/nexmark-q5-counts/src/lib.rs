//! Nexmark query 5, first part: bids of each auction in each 10 s, every 2 s:
//! `end_ms,auction,bids`.

use serde::de::IgnoredAny as Any;
use tidegate_sdk::prelude::*;

const SIZE_MS: i64 = 10_000;
const SLIDE_MS: i64 = 2_000;

struct Counts {
    /// By the end of the window.
    counts: MapState<i64, u64>,
}

impl KeyedProcessFunction for Counts {
    /// `auction,bidder,price,time_ms,extra`
    type In<'a> = Csv<(Any, Any, Any, i64, Any)>;
    type Out = Csv<(i64, u64, u64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { counts: setup.map_state("counts") })
    }

    fn process_element(
        &mut self,
        Csv((_, _, _, time, _)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        let first = time - time.rem_euclid(SLIDE_MS) + SLIDE_MS;
        for end in (first..first + SIZE_MS).step_by(SLIDE_MS as usize) {
            let count = match self.counts.get(ctx, &end)? {
                Some(count) => count,
                None => {
                    ctx.register_event_time_timer(end - 1);
                    0
                }
            };
            self.counts.put(ctx, &end, &(count + 1))?;
        }
        Ok(())
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, Self::Out>) -> Result<()> {
        let end = timer.timestamp + 1;
        let Some(count) = self.counts.get(ctx, &end)? else {
            bail!("no window ends at {end}, but its timer fired");
        };
        let auction = ctx.key_str()?.parse()?;
        ctx.collect(Csv((end, auction, count)));
        self.counts.remove(ctx, &end)
    }
}

tidegate_sdk::export!(keyed_process: Counts);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn a_bid_is_in_five_windows() -> Result<()> {
        let mut counts = Harness::keyed_process::<Counts>().open()?;
        counts.push("1", "1,5,300,1500,x", 1_500)?;
        counts.push("1", "1,5,300,9500,x", 9_500)?;
        let ends = ["2000,1,1", "4000,1,1", "6000,1,1", "8000,1,1", "10000,1,2"];
        counts.advance_watermark(10_000)?;
        assert_eq!(counts.take_output(), ends);
        assert_eq!(counts.finish()?, ["12000,1,1", "14000,1,1", "16000,1,1", "18000,1,1"]);
        Ok(())
    }
}
