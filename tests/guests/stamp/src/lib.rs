//! Adds the event time to each record: `record,timestamp`, so that a test sees what operators
//! before gave it.

use tidegate_sdk::prelude::*;

struct Stamp;

impl ProcessFunction for Stamp {
    type In<'a> = &'a str;
    type Out = String;

    fn open(_setup: &mut Setup) -> Result<Self> {
        Ok(Self)
    }

    fn process_element(&mut self, line: &str, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        let timestamp = ctx.timestamp()?;
        // Records come before the watermark has passed all of their window.
        if ctx.current_watermark() >= timestamp {
            bail!("{line} is late: the watermark is {}", ctx.current_watermark());
        }
        ctx.collect_fmt(format_args!("{line},{timestamp}"));
        Ok(())
    }
}

tidegate_sdk::export!(process: Stamp);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn refuses_late_records() -> Result<()> {
        let mut stamp = Harness::process::<Stamp>().open()?;
        stamp.push("a", 5)?;
        stamp.advance_watermark(6)?;
        assert!(stamp.push("b", 6).is_err());
        assert_eq!(stamp.take_output(), ["a,5"]);
        Ok(())
    }
}
