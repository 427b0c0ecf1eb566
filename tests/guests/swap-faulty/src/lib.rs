//! A version of `swap-v1` that panics at some records.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version, count_one};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

struct Faulty {
    count: ValueState<u64>,
}

impl Version for Faulty {
    const TAG: &'static str = "faulty";

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.value_state("count") })
    }

    fn count(&mut self, line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        assert!(line_number % 5_000 != 4_999, "line {line_number} is one to panic at");
        count_one(&self.count, ctx)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Faulty>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    #[should_panic(expected = "line 4999 is one to panic at")]
    fn panics_at_some_lines() {
        let mut faulty = Harness::keyed_process::<Swapped<Faulty>>().open().unwrap();
        faulty.push("a", "a,/,1", 0).unwrap();
        assert_eq!(faulty.take_output(), ["a,1,1,faulty"]);
        let _ = faulty.push("a", "a,/,4999", 0);
    }
}
