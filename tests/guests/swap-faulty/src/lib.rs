//! A version of `swap-v1` that panics at the record whose line number is the parameter `at`.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version, count_one};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct Faulty {
    count: ValueState<u64>,
    at: u64,
}

impl Version for Faulty {
    const TAG: &'static str = "faulty";

    fn open(setup: &mut Setup) -> Result<Self> {
        // Never, where nothing is said: no input has so many lines.
        Ok(Self { count: setup.value_state("count"), at: setup.param("at", u64::MAX)? })
    }

    fn count(&mut self, line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        assert!(line_number != self.at, "line {line_number} is the one to panic at");
        count_one(&self.count, ctx)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Faulty>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    #[should_panic(expected = "line 2 is the one to panic at")]
    fn panics_at_the_line_of_the_parameter() {
        let builder = Harness::keyed_process::<Swapped<Faulty>>().param("at", "2");
        let mut faulty = builder.open().unwrap();
        faulty.push("a", "a,1", 0).unwrap();
        assert_eq!(faulty.take_output(), ["a,1,1,faulty"]);
        let _ = faulty.push("a", "a,2", 0);
    }
}
