//! Nexmark query 5, second part: the auction with the most bids in a window, of several that with
//! the lowest number: `end_ms,auction,bids`.

use tidegate_sdk::prelude::*;

struct Most {
    /// The auction and its number of bids.
    most: ValueState<(u64, u64)>,
}

impl KeyedProcessFunction for Most {
    /// `end_ms,auction,bids`
    type In<'a> = Csv<(i64, u64, u64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { most: setup.value_state("most") })
    }

    fn process_element(
        &mut self,
        Csv((end, auction, bids)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        match self.most.value(ctx)? {
            None => ctx.register_event_time_timer(end - 1),
            Some((known, most)) if bids < most || (bids == most && auction > known) => {
                return Ok(());
            }
            Some(_) => {}
        }
        self.most.update(ctx, &(auction, bids))
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let end = ctx.key_str()?;
        let Some((auction, bids)) = self.most.value(ctx)? else {
            bail!("no auction has bids at {end}, but its timer fired");
        };
        ctx.collect_fmt(format_args!("{end},{auction},{bids}"));
        self.most.clear(ctx);
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: Most);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn the_lowest_of_those_with_most_bids() -> Result<()> {
        let mut most = Harness::keyed_process::<Most>().open()?;
        for line in ["2000,9,4", "2000,3,5", "2000,2,5", "2000,7,5"] {
            most.push("2000", line, 1_999)?;
        }
        assert_eq!(most.finish()?, ["2000,2,5"]);
        Ok(())
    }
}
