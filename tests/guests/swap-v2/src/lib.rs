//! The second version of `swap-v1`: it declares the same and sends out another tag.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version, count_one};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct Second {
    count: ValueState<u64>,
}

impl Version for Second {
    const TAG: &'static str = "v2";

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.value_state("count") })
    }

    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        count_one(&self.count, ctx)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Second>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn goes_on_counting() -> Result<()> {
        let mut second = Harness::keyed_process::<Swapped<Second>>().open()?;
        second.restore_value("count", 1, "a", &7_u64)?;
        second.push("a", "a,/,1", 0)?;
        assert_eq!(second.take_output(), ["a,8,1,v2"]);
        Ok(())
    }
}
