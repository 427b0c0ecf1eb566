//! The click of each user whose time is the highest so far, the later of two; with the number of
//! clicks so far in place of the page.

use tidegate_sdk::prelude::*;

struct Highest;

impl ReduceFunction for Highest {
    /// `user,page,time`; of what was reduced, `user,xCLICKS,time`.
    type Value = Csv<(String, String, i64)>;

    fn open(_setup: &mut Setup) -> Result<Self> {
        Ok(Self)
    }

    fn reduce(
        &mut self,
        Csv((user, page, time)): Self::Value,
        Csv((_, _, later)): Self::Value,
    ) -> Result<Self::Value> {
        let clicks = page.strip_prefix('x').map_or(Ok(1), str::parse::<u64>)? + 1;
        Ok(Csv((user, format!("x{clicks}"), time.max(later))))
    }
}

tidegate_sdk::export!(reduce: Highest);
