//! Nexmark query 8: who registered and sold within the same 10 s: `id,name,start_ms`.

use serde::de::IgnoredAny as Any;
use tidegate_sdk::prelude::*;

const SIZE_MS: i64 = 10_000;

struct Join {
    /// Who registered, by the start of the window.
    names: MapState<i64, String>,
    /// Windows with auctions, by their starts.
    sold: MapState<i64, bool>,
}

/// The start of the window of a time, at whose end a timer fires.
fn window(time: i64, ctx: &mut KeyedContext<'_, String>) -> i64 {
    let start = time - time.rem_euclid(SIZE_MS);
    ctx.register_event_time_timer(start + SIZE_MS - 1);
    start
}

impl KeyedCoProcessFunction for Join {
    /// `id,name,city,state,time_ms,extra`
    type In1<'a> = Csv<(Any, String, Any, Any, i64, Any)>;
    /// `id,seller,category,reserve,time_ms,expires_ms,extra`
    type In2<'a> = Csv<(Any, Any, Any, Any, i64, Any, Any)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { names: setup.map_state("names"), sold: setup.map_state("sold") })
    }

    fn process_element1(
        &mut self,
        Csv((_, name, _, _, time, _)): Self::In1<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let start = window(time, ctx);
        self.names.put(ctx, &start, &name)
    }

    fn process_element2(
        &mut self,
        Csv((_, _, _, _, time, _, _)): Self::In2<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let start = window(time, ctx);
        self.sold.put(ctx, &start, &true)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let start = timer.timestamp + 1 - SIZE_MS;
        if let Some(name) = self.names.get(ctx, &start)?
            && self.sold.contains(ctx, &start)?
        {
            let id = ctx.key_str()?;
            ctx.collect_fmt(format_args!("{id},{name},{start}"));
        }
        self.names.remove(ctx, &start)?;
        self.sold.remove(ctx, &start)
    }
}

tidegate_sdk::export!(keyed_co_process: Join);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn only_within_the_same_window() -> Result<()> {
        let mut join = Harness::keyed_co_process::<Join>().open()?;
        join.push1("7", "7,ann,boise,ID,9000,x", 9_000)?;
        join.push2("7", "1,7,10,0,9500,20000,x", 9_500)?;
        join.push2("7", "2,7,10,0,9600,20000,x", 9_600)?;
        join.push1("8", "8,ben,boise,ID,9000,x", 9_000)?;
        join.push2("8", "3,8,10,0,10000,20000,x", 10_000)?;
        assert_eq!(join.finish()?, ["7,ann,0"]);
        Ok(())
    }
}
