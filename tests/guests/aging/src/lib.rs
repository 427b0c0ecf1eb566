//! Forgets what has not been accessed for 20 ms of event time, in state of each kind, and sends out
//! what it still knows at each record.

use tidegate_sdk::prelude::*;

/// How long everything lives.
const LIFE: Duration = Duration::from_millis(20);

struct Aging {
    count: ValueState<u64>,
    times: ListState<i64>,
    pages: MapState<String, u64>,
    total: ReducingState<u64>,
}

impl RichFlatMapFunction for Aging {
    type In<'a> = Csv<(&'a str, &'a str, i64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let ttl = Ttl::new(LIFE).event_time();
        Ok(Self {
            count: setup.state("count").ttl(ttl).value(),
            times: setup.state("times").ttl(ttl).list(),
            pages: setup.state("pages").ttl(ttl.update_on_read()).map(),
            total: setup.state("total").ttl(ttl.cleanup_in_full_snapshot()).reducing(|a, b| a + b),
        })
    }

    fn flat_map(
        &mut self,
        Csv((user, page, time)): Self::In<'_>,
        ctx: &mut FlatMapContext<'_, String>,
    ) -> Result<()> {
        let count = self.count.value(ctx)?.unwrap_or(0) + 1;
        self.count.update(ctx, &count)?;
        self.times.add(ctx, &time)?;
        let page = page.to_owned();
        let views = self.pages.get(ctx, &page)?.unwrap_or(0) + 1;
        self.pages.put(ctx, &page, &views)?;
        self.total.add(ctx, 1)?;
        let (times, total) = (self.times.get(ctx)?, self.total.get(ctx)?);
        let pages = if time % 3 == 0 { self.pages.entries(ctx)? } else { Vec::new() };
        ctx.collect(format!("{user},{time},{count},{times:?},{pages:?},{total:?}"));
        Ok(())
    }
}

tidegate_sdk::export!(rich_flat_map: Aging);
