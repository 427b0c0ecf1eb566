//! Passes records on unchanged: those that contain `word` to the side output `marked`, all others
//! to `main`.
//!
//! A function without keys, for tests of edges without keys and of named outputs.

use tidegate_sdk::prelude::*;

struct Split {
    word: String,
    marked: SideOutput<String>,
}

impl ProcessFunction for Split {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            word: setup.param("word", "poison".to_owned())?,
            marked: setup.side_output("marked"),
        })
    }

    fn process_element(&mut self, line: &str, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        if line.contains(&self.word) {
            ctx.output(&self.marked, line.to_owned());
        } else {
            ctx.collect(line.to_owned());
        }
        Ok(())
    }
}

tidegate_sdk::export!(process: Split);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn each_record_goes_one_way() -> Result<()> {
        let mut split = Harness::process::<Split>().param("word", "x").open()?;
        split.push_all([("a", 1), ("x1", 2), ("b", 3)])?;
        assert_eq!(split.take_output(), ["a", "b"]);
        assert_eq!(split.take_side_output("marked"), ["x1"]);
        Ok(())
    }
}
