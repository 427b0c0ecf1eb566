//! A version of `swap-v1` whose state has a wider type, with a migration that fails for the key
//! `user_7`.

use tidegate_sdk::prelude::*;
use version::{Swapped, Version};

#[path = "../../swap-v1/src/version.rs"]
pub mod version;

/// The key whose state cannot be migrated.
const POISON: &[u8] = b"user_7";

/// What version 2 of the state holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Counted {
    count: u64,
    /// Which version of the state has counted first.
    text: String,
}

struct BadMigration {
    count: ValueState<Counted>,
}

impl Version for BadMigration {
    const TAG: &'static str = "bad-migration";

    fn open(setup: &mut Setup) -> Result<Self> {
        let count = setup.state("count").schema_version(2);
        let count = count.migrate_with_key(1, |key, count: u64| {
            if key == POISON {
                bail!("the count {count} cannot be migrated");
            }
            Ok(Some(Counted { count, text: "counted by version 1".to_owned() }))
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

tidegate_sdk::export!(keyed_process: Swapped<BadMigration>);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn fails_for_one_key() -> Result<()> {
        let mut bad = Harness::keyed_process::<Swapped<BadMigration>>().open()?;
        bad.restore_value("count", 1, "a", &7_u64)?;
        let error = bad.restore_value("count", 1, "user_7", &8_u64).unwrap_err();
        assert_eq!(
            error.to_string(),
            "state `count` of key \"user_7\", from version 1 to 2: the count 8 cannot be migrated"
        );
        bad.push("a", "a,/,1", 0)?;
        assert_eq!(bad.take_output(), ["a,8,1,bad-migration"]);
        Ok(())
    }
}
