//! A version of `swap-v1` whose state `count` has another type, though it says the same schema
//! version: an author's mistake.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct Type {
    /// The count in decimal digits.
    count: ValueState<String>,
}

impl Version for Type {
    const TAG: &'static str = "type";

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.value_state("count") })
    }

    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let before = self.count.value(ctx)?;
        let count = before.map_or(Ok(0), |digits| digits.parse::<u64>())? + 1;
        self.count.update(ctx, &count.to_string())?;
        Ok(count)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Type>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn counts_in_digits() -> Result<()> {
        let mut digits = Harness::keyed_process::<Swapped<Type>>().open()?;
        digits.push_all([("a", "a,/,1", 0), ("a", "a,/,2", 0)])?;
        assert_eq!(digits.take_output(), ["a,1,1,type", "a,2,2,type"]);
        assert_eq!(digits.value_state::<String>("count", "a")?.as_deref(), Some("2"));
        Ok(())
    }
}
