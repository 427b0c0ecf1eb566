//! Nexmark query 4, first part: the highest bid of each auction, when it closes:
//! `category,price`.

use serde::de::IgnoredAny as Any;
use tidegate_sdk::prelude::*;

struct Winner {
    /// When it opens and closes, its category, the highest bid.
    auction: ValueState<(i64, i64, u64, Option<u64>)>,
    /// Price and time of bids before their auction is known.
    early: ListState<(u64, i64)>,
}

impl KeyedCoProcessFunction for Winner {
    /// `id,seller,category,reserve,time_ms,expires_ms,extra`
    type In1<'a> = Csv<(Any, Any, u64, Any, i64, i64, Any)>;
    /// `auction,bidder,price,time_ms,extra`
    type In2<'a> = Csv<(Any, Any, u64, i64, Any)>;
    type Out = Csv<(u64, u64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { auction: setup.value_state("auction"), early: setup.list_state("early") })
    }

    fn process_element1(
        &mut self,
        Csv((_, _, category, _, opens, closes, _)): Self::In1<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        let early = self.early.get(ctx)?.into_iter();
        let in_time = early.filter(|(_, time)| (opens..=closes).contains(time));
        let highest = in_time.map(|(price, _)| price).max();
        self.early.clear(ctx);
        ctx.register_event_time_timer(closes);
        self.auction.update(ctx, &(opens, closes, category, highest))
    }

    fn process_element2(
        &mut self,
        Csv((_, _, price, time, _)): Self::In2<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        let Some((opens, closes, category, highest)) = self.auction.value(ctx)? else {
            return self.early.add(ctx, &(price, time));
        };
        if (opens..=closes).contains(&time) && Some(price) > highest {
            self.auction.update(ctx, &(opens, closes, category, Some(price)))?;
        }
        Ok(())
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, Self::Out>) -> Result<()> {
        // The auction stays, so that bids after its end are known to be too late.
        if let Some((_, _, category, Some(highest))) = self.auction.value(ctx)? {
            ctx.collect(Csv((category, highest)));
        }
        Ok(())
    }
}

tidegate_sdk::export!(keyed_co_process: Winner);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn the_highest_bid_in_time_wins() -> Result<()> {
        let mut winner = Harness::keyed_co_process::<Winner>().open()?;
        winner.push2("1", "1,5,300,1500,x", 1_500)?;
        winner.push2("1", "1,5,900,900,x", 900)?;
        winner.push1("1", "1,7,10,0,1000,2000,x", 1_000)?;
        winner.push2("1", "1,6,400,2000,x", 2_000)?;
        winner.push2("1", "1,6,800,2001,x", 2_001)?;
        winner.push1("2", "2,7,10,0,1000,2000,x", 1_000)?;
        assert_eq!(winner.finish()?, ["10,400"]);
        Ok(())
    }
}
