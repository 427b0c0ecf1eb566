//! A version of `swap-v1` whose state lives for an hour of the host's clock.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version, count_one};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct Mortal {
    count: ValueState<u64>,
}

impl Version for Mortal {
    const TAG: &'static str = "ttl";

    fn open(setup: &mut Setup) -> Result<Self> {
        let hour = Ttl::new(Duration::from_secs(3600));
        Ok(Self { count: setup.state("count").ttl(hour).value() })
    }

    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        count_one(&self.count, ctx)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Mortal>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn forgets_after_an_hour() -> Result<()> {
        let mut mortal = Harness::keyed_process::<Swapped<Mortal>>().open()?;
        mortal.restore_value("count", 1, "a", &7_u64)?;
        mortal.push("a", "a,/,1", 0)?;
        mortal.advance_processing_time(3_600_000)?;
        mortal.push("a", "a,/,2", 0)?;
        assert_eq!(mortal.take_output(), ["a,8,1,ttl", "a,1,2,ttl"]);
        Ok(())
    }
}
