//! Nexmark query 4, second part: the average winning price of each category so far, told after each
//! minute of event time in which an auction of it closed: `category,average,end_ms`.

use tidegate_sdk::prelude::*;

const PERIOD_MS: i64 = 60_000;

struct Average {
    /// Sum and number of all periods that are over.
    total: ValueState<(u64, u64)>,
    /// Sum and number of each period that is not, by its end.
    open: MapState<i64, (u64, u64)>,
}

impl KeyedProcessFunction for Average {
    /// `category,price`
    type In<'a> = Csv<(u64, u64)>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { total: setup.value_state("total"), open: setup.map_state("open") })
    }

    fn process_element(
        &mut self,
        Csv((_, price)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, String>,
    ) -> Result<()> {
        let time = ctx.timestamp()?;
        let end = time - time.rem_euclid(PERIOD_MS) + PERIOD_MS;
        let (sum, number) = match self.open.get(ctx, &end)? {
            Some(period) => period,
            None => {
                ctx.register_event_time_timer(end - 1);
                (0, 0)
            }
        };
        self.open.put(ctx, &end, &(sum + price, number + 1))
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, String>) -> Result<()> {
        let end = timer.timestamp + 1;
        let Some((sum, number)) = self.open.get(ctx, &end)? else {
            bail!("no period ends at {end}, but its timer fired");
        };
        let (sum_before, number_before) = self.total.value(ctx)?.unwrap_or((0, 0));
        let (sum, number) = (sum_before + sum, number_before + number);
        self.total.update(ctx, &(sum, number))?;
        self.open.remove(ctx, &end)?;
        let category = ctx.key_str()?;
        ctx.collect_fmt(format_args!("{category},{},{end}", sum / number));
        Ok(())
    }
}

tidegate_sdk::export!(keyed_process: Average);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn averages_go_on_from_minute_to_minute() -> Result<()> {
        let mut average = Harness::keyed_process::<Average>().open()?;
        average.push("10", "10,100", 1_000)?;
        average.push("10", "10,301", 61_000)?;
        average.push("10", "10,300", 2_000)?;
        assert_eq!(average.finish()?, ["10,200,60000", "10,233,120000"]);
        Ok(())
    }
}
