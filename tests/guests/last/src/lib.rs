//! Keeps the last record of each key and sends out the number before its first comma.
//!
//! It is the function of the benchmark of recovery: as much state as the input has bytes, and an
//! answer to each record by which its way through the job can be timed.

use tidegate_sdk::prelude::*;

struct Last {
    last: ValueState<Vec<u8>>,
}

impl RichMapFunction for Last {
    type In<'a> = &'a [u8];
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { last: setup.value_state("last") })
    }

    fn map(&mut self, record: &[u8], ctx: &mut MapContext<'_>) -> Result<String> {
        self.last.update(ctx, &record.to_vec())?;
        let number = record.split(|byte| *byte == b',').next().unwrap_or_default();
        Ok(String::from_utf8_lossy(number).into_owned())
    }
}

tidegate_sdk::export!(rich_map: Last);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn sends_the_number_of_each_record() -> Result<()> {
        let mut last = Harness::rich_map::<Last>().open()?;
        last.push("a", b"17,a,xx", 0)?;
        last.push("a", b"18", 0)?;
        assert_eq!(last.take_output(), ["17", "18"]);
        Ok(())
    }
}
