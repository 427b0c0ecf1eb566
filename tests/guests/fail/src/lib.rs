//! Counts the records of each key, and gives up at a record that contains `poison`.

use tidegate_sdk::prelude::*;

struct Fail {
    count: ValueState<u64>,
}

impl RichFlatMapFunction for Fail {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { count: setup.value_state("count") })
    }

    fn flat_map(&mut self, line: &str, ctx: &mut FlatMapContext<'_, String>) -> Result<()> {
        // Written before the fault, so that a test sees whether the fault takes it back.
        let count = self.count.value(ctx)?.unwrap_or(0) + 1;
        self.count.update(ctx, &count)?;
        let key = ctx.key_str()?;
        ctx.collect_fmt(format_args!("{key},{count}"));
        if line.contains("poison") {
            bail!("cannot digest {line:?}");
        }
        Ok(())
    }
}

tidegate_sdk::export!(rich_flat_map: Fail);
