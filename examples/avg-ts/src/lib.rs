//! Tells the average timestamp of every five events of a user.
//!
//! Shows `AggregatingState`, whose result has another type than what is added, beside a
//! `ValueState`. Rich flat map functions have state but no timers.
//!
//! After `AvgTsResult`, a Flink `RichFlatMapFunction`, with one difference: there only the count is
//! cleared after an output, so that each average is over all events so far. Here both are, so that
//! each is over its own five. Run it with
//!
//! ```text
//! tidegate build examples/avg-ts
//! tidegate run examples/avg-ts/job.toml
//! ```

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// A click: `user,url,timestamp_ms`. One of the first two is the key, which comes with the context,
/// so only the time is read.
type Event = Csv<(IgnoredAny, IgnoredAny, i64)>;

/// `key,avg_ms`.
type Average = Csv<(String, i64)>;

struct AvgTs {
    /// How many events make an average.
    count_max: u64,
    avg_ts: AggregatingState<MeanTimestamp>,
    count: ValueState<u64>,
}

/// Keeps a sum and a count, and divides them when asked.
struct MeanTimestamp;

impl AggregateFunction for MeanTimestamp {
    type In = i64;
    type Acc = (i128, i128);
    type Out = i64;

    fn create_accumulator(&self) -> Self::Acc {
        (0, 0)
    }

    fn add(&self, timestamp: i64, (sum, count): Self::Acc) -> Self::Acc {
        (sum + i128::from(timestamp), count + 1)
    }

    fn get_result(&self, (sum, count): Self::Acc) -> i64 {
        i64::try_from(sum / count).expect("a mean lies between what it is the mean of")
    }
}

impl RichFlatMapFunction for AvgTs {
    type In<'a> = Event;
    type Out = Average;

    fn open(setup: &mut Setup) -> Result<Self> {
        let count_max = setup.param("count", 5)?;
        if count_max == 0 {
            bail!("parameter `count` is 0; an average takes at least 1 event");
        }
        Ok(Self {
            count_max,
            avg_ts: setup.aggregating_state("avg-ts", MeanTimestamp),
            count: setup.value_state("count"),
        })
    }

    fn flat_map(
        &mut self,
        Csv((_user, _url, timestamp)): Event,
        ctx: &mut FlatMapContext<'_, Average>,
    ) -> Result<()> {
        let count = self.count.value(ctx)?.unwrap_or(0) + 1;
        self.count.update(ctx, &count)?;
        self.avg_ts.add(ctx, timestamp)?;
        if count < self.count_max {
            return Ok(());
        }

        if let Some(average) = self.avg_ts.get(ctx)? {
            ctx.collect_as(Csv((ctx.key_str()?, average)));
        }
        self.count.clear(ctx);
        self.avg_ts.clear(ctx);
        Ok(())
    }
}

tidegate_sdk::export!(rich_flat_map: AvgTs);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn each_average_is_over_its_own_events() -> Result<()> {
        let mut avg = Harness::rich_flat_map::<AvgTs>().param("count", "2").open()?;
        for timestamp in [1_000, 2_001, 5_000, 5_002, 9_000] {
            avg.push("alice", format!("alice,/home,{timestamp}"), timestamp)?;
        }
        assert_eq!(avg.take_output(), ["alice,1500", "alice,5001"]);
        assert_eq!(avg.value_state::<u64>("count", "alice")?, Some(1));
        assert_eq!(avg.value_state::<(i128, i128)>("avg-ts", "alice")?, Some((9_000, 1)));
        Ok(())
    }

    #[test]
    fn takes_five_unless_told() -> Result<()> {
        let mut avg = Harness::rich_flat_map::<AvgTs>().open()?;
        for timestamp in 1..=4 {
            avg.push("bob", format!("bob,/,{timestamp}"), timestamp)?;
        }
        assert!(avg.take_output().is_empty());
        avg.push("bob", "bob,/,5", 5)?;
        assert_eq!(avg.finish()?, ["bob,3"]);
        Ok(())
    }
}
