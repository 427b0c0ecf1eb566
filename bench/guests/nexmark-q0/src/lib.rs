//! Nexmark query 0: every bid, read and written again.

use tidegate_sdk::prelude::*;

/// `auction,bidder,price,time_ms,extra`.
type Bid<'a> = Csv<(u64, u64, u64, i64, &'a str)>;

struct PassThrough;

impl ProcessFunction for PassThrough {
    type In<'a> = Bid<'a>;
    type Out = Csv<(u64, u64, u64, i64, String)>;

    fn open(_setup: &mut Setup) -> Result<Self> {
        Ok(Self)
    }

    fn process_element(
        &mut self,
        Csv((auction, bidder, price, time, extra)): Bid<'_>,
        ctx: &mut ProcessContext<'_, Self::Out>,
    ) -> Result<()> {
        ctx.collect_as(Csv((auction, bidder, price, time, extra)));
        Ok(())
    }
}

tidegate_sdk::export!(process: PassThrough);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn bids_pass() -> Result<()> {
        let mut query = Harness::process::<PassThrough>().open()?;
        query.push("1,2,300,1000,x", 1_000)?;
        assert_eq!(query.finish()?, ["1,2,300,1000,x"]);
        Ok(())
    }
}
