//! A version of `swap-v1` that declares the state `count` no more, and counts anew in another one.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version, count_one};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct Less {
    other: ValueState<u64>,
}

impl Version for Less {
    const TAG: &'static str = "less";

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { other: setup.value_state("other") })
    }

    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        count_one(&self.other, ctx)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Less>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn has_its_own_count() -> Result<()> {
        let mut less = Harness::keyed_process::<Swapped<Less>>().open()?;
        assert!(less.restore_value("count", 1, "a", &7_u64).is_err());
        less.push("a", "a,/,1", 0)?;
        assert_eq!(less.take_output(), ["a,1,1,less"]);
        Ok(())
    }
}
