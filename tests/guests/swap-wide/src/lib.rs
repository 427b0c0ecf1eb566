//! A version of `swap-v1` whose state has a wider type, with a migration from the old one.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

/// What version 2 of the state holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Counted {
    count: u64,
    /// Which version of the state has counted first.
    text: String,
}

struct Wide {
    count: ValueState<Counted>,
}

impl Version for Wide {
    const TAG: &'static str = "wide";

    fn open(setup: &mut Setup) -> Result<Self> {
        let count = setup.state("count").schema_version(2);
        let count = count.migrate(1, |count: u64| {
            Ok(Counted { count, text: "counted by version 1".to_owned() })
        });
        Ok(Self { count: count.value() })
    }

    fn count(&mut self, _line_number: u64, ctx: &mut KeyedContext<'_, String>) -> Result<u64> {
        let before = self.count.value(ctx)?;
        let mut counted =
            before.unwrap_or_else(|| Counted { count: 0, text: "counted by version 2".to_owned() });
        counted.count += 1;
        self.count.update(ctx, &counted)?;
        Ok(counted.count)
    }
}

tidegate_sdk::export!(keyed_process: Swapped<Wide>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn goes_on_counting_what_was_migrated() -> Result<()> {
        let mut wide = Harness::keyed_process::<Swapped<Wide>>().open()?;
        wide.restore_value("count", 1, "a", &7_u64)?;
        wide.push_all([("a", "a,/,1", 0), ("b", "b,/,2", 0)])?;
        assert_eq!(wide.take_output(), ["a,8,1,wide", "b,1,2,wide"]);
        let text = |key| {
            let counted = wide.value_state::<Counted>("count", key);
            counted.map(|counted| counted.map(|counted| counted.text))
        };
        assert_eq!(text("a")?.as_deref(), Some("counted by version 1"));
        assert_eq!(text("b")?.as_deref(), Some("counted by version 2"));
        Ok(())
    }
}
