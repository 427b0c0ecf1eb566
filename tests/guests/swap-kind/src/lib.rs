//! A version of `swap-v1` whose state `count` is a map: nothing can make that of a value.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct Kind {
    /// Line numbers, and the count that each was given.
    count: MapState<u64, u64>,
}

impl Version for Kind {
    const TAG: &'static str = "kind";

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.map_state("count") })
    }

    fn count(&mut self, line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let count = self.count.entries(ctx)?.len() as u64 + 1;
        self.count.put(ctx, &line_number, &count)?;
        Ok(count)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Kind>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn counts_in_a_map() -> Result<()> {
        let mut kind = Harness::keyed_process::<Swapped<Kind>>().open()?;
        assert!(kind.restore_value("count", 1, "a", &7_u64).is_err());
        kind.push_all([("a", "a,/,1", 0), ("a", "a,/,2", 0)])?;
        assert_eq!(kind.take_output(), ["a,1,1,kind", "a,2,2,kind"]);
        Ok(())
    }
}
