//! A version of `swap-v1` that declares more: a state that begins empty, and a parameter.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version, count_one};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct More {
    count: ValueState<u64>,
    /// Line numbers, and the count that each was given.
    seen: MapState<u64, u64>,
    /// The most entries of `seen`.
    seen_max: u64,
}

impl Version for More {
    const TAG: &'static str = "more";

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            count: setup.value_state("count"),
            seen: setup.map_state("seen"),
            seen_max: setup.param("seen_max", 16)?,
        })
    }

    fn count(&mut self, line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let count = count_one(&self.count, ctx)?;
        let seen = self.seen.keys(ctx)?;
        if seen.len() as u64 >= self.seen_max
            && let Some(oldest) = seen.iter().min()
        {
            self.seen.remove(ctx, oldest)?;
        }
        self.seen.put(ctx, &line_number, &count)?;
        Ok(count)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<More>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn keeps_what_it_has_seen_last() -> Result<()> {
        let builder = Harness::keyed_process::<Swapped<More>>().param("seen_max", "2");
        let mut more = builder.open()?;
        more.restore_value("count", 1, "a", &7_u64)?;
        more.push_all([("a", "a,/,1", 0), ("a", "a,/,2", 0), ("a", "a,/,3", 0)])?;
        assert_eq!(more.take_output(), ["a,8,1,more", "a,9,2,more", "a,10,3,more"]);
        assert_eq!(more.map_state::<u64, u64>("seen", "a")?, [(2, 9), (3, 10)]);
        Ok(())
    }
}
