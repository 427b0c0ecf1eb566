//! The first version of the function that tests of swaps put others in the place of. What all of
//! them have in common is in `version.rs`.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version, count_one};

pub mod version;

struct First {
    count: ValueState<u64>,
}

impl Version for First {
    const TAG: &'static str = "v1";

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.value_state("count") })
    }

    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        count_one(&self.count, ctx)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<First>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn counts_each_key() -> Result<()> {
        let mut first = Harness::keyed_process::<Swapped<First>>().open()?;
        first.push_all([("a", "a,/,1", 0), ("b", "b,/,2", 0), ("a", "a,/,3", 0)])?;
        assert_eq!(first.take_output(), ["a,1,1,v1", "b,1,2,v1", "a,2,3,v1"]);
        Ok(())
    }
}
