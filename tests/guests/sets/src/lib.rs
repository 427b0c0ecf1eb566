//! The sum of the times of every seven clicks of a key.

use tidegate_sdk::prelude::*;

struct Sets;

impl WindowFunction for Sets {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    type Acc = i64;
    /// `key,sum`
    type Out = Csv<(String, i64)>;

    fn open(_setup: &mut Setup) -> Result<(Self, Windows)> {
        Ok((Self, Windows::count(7)))
    }

    fn create_accumulator(&self) -> i64 {
        0
    }

    fn add(&self, Csv((_user, _page, time)): &Self::In<'_>, sum: &mut i64) -> Result<()> {
        *sum += time;
        Ok(())
    }

    fn merge(&self, earlier: i64, later: i64) -> i64 {
        earlier + later
    }

    fn window(
        &mut self,
        _window: TimeWindow,
        sum: i64,
        ctx: &mut WindowContext<'_, Self::Out>,
    ) -> Result<()> {
        ctx.collect(Csv((ctx.key_str()?.to_owned(), sum)));
        Ok(())
    }
}

tidegate_sdk::export!(window: Sets);
