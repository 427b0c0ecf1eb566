//! Nexmark query 7, first part: the highest bid of each auction in each 10 s, of equal ones that of
//! the lowest bidder: `end_ms,auction,bidder,price`.

use serde::de::IgnoredAny as Any;
use tidegate_sdk::prelude::*;

const SIZE_MS: i64 = 10_000;

struct HighestOfAuction {
    /// Bidder and price, by the end of the window.
    highest: MapState<i64, (u64, u64)>,
}

impl KeyedProcessFunction for HighestOfAuction {
    /// `auction,bidder,price,time_ms,extra`
    type In<'a> = Csv<(Any, u64, u64, i64, Any)>;
    type Out = Csv<(i64, u64, u64, u64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { highest: setup.map_state("highest") })
    }

    fn process_element(
        &mut self,
        Csv((_, bidder, price, time, _)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        let end = time - time.rem_euclid(SIZE_MS) + SIZE_MS;
        match self.highest.get(ctx, &end)? {
            None => ctx.register_event_time_timer(end - 1),
            Some((known, highest)) if price < highest || (price == highest && bidder > known) => {
                return Ok(());
            }
            Some(_) => {}
        }
        self.highest.put(ctx, &end, &(bidder, price))
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, Self::Out>) -> Result<()> {
        let end = timer.timestamp + 1;
        let Some((bidder, price)) = self.highest.get(ctx, &end)? else {
            bail!("no window ends at {end}, but its timer fired");
        };
        let auction = ctx.key_str()?.parse()?;
        ctx.collect(Csv((end, auction, bidder, price)));
        self.highest.remove(ctx, &end)
    }
}

tidegate_sdk::export!(keyed_process: HighestOfAuction);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn the_lowest_bidder_of_the_highest_price() -> Result<()> {
        let mut highest = Harness::keyed_process::<HighestOfAuction>().open()?;
        for bid in ["1,5,300,1500,x", "1,4,300,1600,x", "1,6,300,1600,x", "1,9,200,11000,x"] {
            highest.push("1", bid, 0)?;
        }
        assert_eq!(highest.finish()?, ["10000,1,4,300", "20000,1,9,200"]);
        Ok(())
    }
}
