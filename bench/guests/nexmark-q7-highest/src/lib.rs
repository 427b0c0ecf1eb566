//! Nexmark query 7, second part: the highest bid of a window, of equal ones that of the lowest
//! auction: `end_ms,auction,bidder,price`.

use tidegate_sdk::prelude::*;

struct Highest {
    /// Auction, bidder, price.
    highest: ValueState<(u64, u64, u64)>,
}

impl KeyedProcessFunction for Highest {
    /// `end_ms,auction,bidder,price`
    type In<'a> = Csv<(i64, u64, u64, u64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { highest: setup.value_state("highest") })
    }

    fn process_element(
        &mut self,
        Csv((end, auction, bidder, price)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        match self.highest.value(ctx)? {
            None => ctx.register_event_time_timer(end - 1),
            Some((known, _, highest))
                if price < highest || (price == highest && auction > known) =>
            {
                return Ok(());
            }
            Some(_) => {}
        }
        self.highest.update(ctx, &(auction, bidder, price))
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let end = ctx.key_str()?;
        let Some((auction, bidder, price)) = self.highest.value(ctx)? else {
            bail!("nobody bid until {end}, but its timer fired");
        };
        ctx.collect_fmt(format_args!("{end},{auction},{bidder},{price}"));
        self.highest.clear(ctx);
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: Highest);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn the_lowest_auction_of_the_highest_price() -> Result<()> {
        let mut highest = Harness::keyed_process::<Highest>().open()?;
        for line in ["10000,9,1,300", "10000,3,1,400", "10000,2,8,400", "10000,7,1,400"] {
            highest.push("10000", line, 9_999)?;
        }
        assert_eq!(highest.finish()?, ["10000,2,8,400"]);
        Ok(())
    }
}
