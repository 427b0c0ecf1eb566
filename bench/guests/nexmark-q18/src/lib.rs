//! Nexmark query 18: the last bid of each bidder for each auction, told whenever there is a newer
//! one, as bids are written.

use serde::de::IgnoredAny as Any;
use tidegate_sdk::prelude::*;

struct ByBidderAndAuction;

impl KeySelector for ByBidderAndAuction {
    type In<'a> = Csv<(&'a str, &'a str, Any, Any, Any)>;

    fn key(Csv((auction, bidder, _, _, _)): Self::In<'_>) -> Result<Vec<u8>> {
        Ok([bidder, ",", auction].concat().into_bytes())
    }
}

struct Last {
    last: ValueState<i64>,
}

impl KeyedProcessFunction for Last {
    /// `auction,bidder,price,time_ms,extra`
    type In<'a> = Csv<(u64, u64, u64, i64, &'a str)>;
    type Out = Csv<(u64, u64, u64, i64, String)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { last: setup.value_state("last") })
    }

    fn process_element(
        &mut self,
        Csv((auction, bidder, price, time, extra)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        if self.last.value(ctx)?.is_none_or(|last| time >= last) {
            self.last.update(ctx, &time)?;
            ctx.collect_as(Csv((auction, bidder, price, time, extra)));
        }
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: Last, key_by: ByBidderAndAuction);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn older_bids_are_not_told() -> Result<()> {
        let mut last = Harness::keyed_process::<Last>().open()?;
        last.push("5,1", "1,5,300,1000,x", 1_000)?;
        last.push("5,1", "1,5,200,900,x", 900)?;
        last.push("5,1", "1,5,400,1000,y", 1_000)?;
        assert_eq!(last.finish()?, ["1,5,300,1000,x", "1,5,400,1000,y"]);
        Ok(())
    }
}
