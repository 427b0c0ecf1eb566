//! No key and no state: `user,url,timestamp_ms` to `timestamp_ms,user,length of the url`.

use tidegate_sdk::prelude::*;

struct Shape;

impl ProcessFunction for Shape {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    /// `timestamp_ms,user,length`.
    type Out = Csv<(i64, String, usize)>;

    fn open(_setup: &mut Setup) -> Result<Self> {
        Ok(Self)
    }

    fn process_element(
        &mut self,
        Csv((user, url, timestamp)): Self::In<'_>,
        ctx: &mut ProcessContext<'_, Self::Out>,
    ) -> Result<()> {
        ctx.collect_as(Csv((timestamp, user, url.len())));
        Ok(())
    }
}

tidegate_sdk::export!(process: Shape);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn turns_each_click() -> Result<()> {
        let mut shape = Harness::process::<Shape>().open()?;
        shape.push("alice,/home,1000", 1_000)?;
        assert_eq!(shape.finish()?, ["1000,alice,5"]);
        Ok(())
    }
}
