//! Counts clicks in windows of the kind that the parameter `kind` names: `tumbling`, `sliding` or
//! `session`, of `size`, sliding by a third of it.

use tidegate_sdk::prelude::*;

struct Panes;

impl WindowFunction for Panes {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    /// Clicks, and the sum of their times.
    type Acc = (u64, i64);
    /// `key,clicks,sum,start,end`
    type Out = Csv<(String, u64, i64, i64, i64)>;

    fn open(setup: &mut Setup) -> Result<(Self, Windows)> {
        let kind = setup.param("kind", "tumbling".to_owned())?;
        let size = setup.param("size", Duration::from_millis(900))?;
        let lateness = setup.param("lateness", Duration::ZERO)?;
        let windows = match kind.as_str() {
            "tumbling" => Windows::tumbling(size),
            "sliding" => Windows::sliding(size, size / 3),
            "session" => Windows::session(size),
            other => bail!("parameter `kind` is {other:?}"),
        };
        Ok((Self, windows.allowed_lateness(lateness)))
    }

    fn create_accumulator(&self) -> Self::Acc {
        (0, 0)
    }

    fn add(
        &self,
        Csv((_user, _page, time)): &Self::In<'_>,
        (clicks, sum): &mut Self::Acc,
    ) -> Result<()> {
        *clicks += 1;
        *sum += time;
        Ok(())
    }

    fn merge(&self, earlier: Self::Acc, later: Self::Acc) -> Self::Acc {
        (earlier.0 + later.0, earlier.1 + later.1)
    }

    fn window(
        &mut self,
        TimeWindow { start, end }: TimeWindow,
        (clicks, sum): Self::Acc,
        ctx: &mut WindowContext<'_, Self::Out>,
    ) -> Result<()> {
        ctx.collect(Csv((ctx.key_str()?.to_owned(), clicks, sum, start, end)));
        Ok(())
    }
}

tidegate_sdk::export!(window: Panes);
