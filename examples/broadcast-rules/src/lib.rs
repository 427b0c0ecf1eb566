//! Alerts where a sensor's temperature differs from its last one by more than its rule allows. The
//! rules arrive as a stream.
//!
//! Shows a keyed broadcast function: readings come with the sensor as their key, rules go to every
//! partition and are kept in broadcast state.
//!
//! Readings and rules come in any order to each other, and differently to each partition and in
//! each run. So that the alerts do not depend on it, a reading waits in keyed state for the timer
//! of its own time: the watermark is the minimum of both inputs, so that by then all rules up to
//! that time have come. Each rule says from when it holds. Run it with
//!
//! ```text
//! tidegate build examples/broadcast-rules
//! tidegate run examples/broadcast-rules/job.toml
//! ```

use tidegate_sdk::prelude::*;

/// `id,unix_seconds,temperature`
type Reading<'a> = Csv<(&'a str, i64, f64)>;

/// `id,unix_seconds,threshold`: from that time on. `*` is the rule of all sensors without one of
/// their own.
type Rule<'a> = Csv<(&'a str, i64, f64)>;

const ALL: &str = "*";

/// Times and thresholds of one sensor, ascending.
type Thresholds = Vec<(i64, f64)>;

struct RuleAlert {
    last_temp: ValueState<f64>,
    /// Readings that wait, by their times in milliseconds; of one time the last.
    waiting: MapState<i64, f64>,
    rules: BroadcastState<String, Thresholds>,
}

impl RuleAlert {
    /// The threshold of a sensor at a time. Without a rule there is none.
    fn threshold(
        &self,
        ctx: &KeyedContext<'_, <Self as KeyedBroadcastProcessFunction>::Out>,
        time: i64,
    ) -> Result<Option<f64>> {
        for id in [ctx.key_str()?, ALL] {
            let rules = self.rules.get(ctx, &id.to_owned())?.unwrap_or_default();
            if let Some((_, threshold)) = rules.iter().rev().find(|(from, _)| *from <= time) {
                return Ok(Some(*threshold));
            }
        }
        Ok(None)
    }
}

impl KeyedBroadcastProcessFunction for RuleAlert {
    type In<'a> = Reading<'a>;
    type Broadcast<'a> = Rule<'a>;
    /// `id,previous,current`
    type Out = Csv<(String, f64, f64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            last_temp: setup.value_state("last-temp"),
            waiting: setup.map_state("waiting"),
            rules: setup.broadcast_state("rules"),
        })
    }

    fn process_element(
        &mut self,
        Csv((_id, _seconds, temperature)): Reading<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        let time = ctx.timestamp()?;
        ctx.register_event_time_timer(time);
        self.waiting.put(ctx, &time, &temperature)
    }

    fn process_broadcast_element(
        &mut self,
        Csv((id, seconds, threshold)): Rule<'_>,
        ctx: &mut BroadcastContext<'_, Self::Out>,
    ) -> Result<()> {
        let id = id.to_owned();
        let mut rules = self.rules.get(ctx, &id)?.unwrap_or_default();
        rules.push((seconds * 1000, threshold));
        rules.sort_by_key(|(from, _)| *from);
        self.rules.put(ctx, &id, &rules)
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyedContext<'_, Self::Out>) -> Result<()> {
        let Some(temperature) = self.waiting.get(ctx, &timer.timestamp)? else {
            bail!("no reading waits for {}, but its timer fired", timer.timestamp);
        };
        self.waiting.remove(ctx, &timer.timestamp)?;
        let last = self.last_temp.value(ctx)?;
        self.last_temp.update(ctx, &temperature)?;
        if let (Some(last), Some(threshold)) = (last, self.threshold(ctx, timer.timestamp)?)
            && (temperature - last).abs() > threshold
        {
            ctx.collect_as(Csv((ctx.key_str()?, last, temperature)));
        }
        Ok(())
    }
}

tidegate_sdk::export!(keyed_broadcast_process: RuleAlert);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn rules_hold_from_their_time_whenever_they_come() -> Result<()> {
        let mut alert = Harness::keyed_broadcast_process::<RuleAlert>().open()?;
        for reading in ["a,1,10", "a,2,30", "a,3,50", "a,4,70"] {
            let seconds = i64::from(reading.as_bytes()[2] - b'0');
            alert.push("a", reading, seconds * 1000)?;
        }
        alert.push_broadcast("a,4,100", 4_000)?;
        alert.push_broadcast("*,3,10", 3_000)?;
        assert_eq!(alert.finish()?, ["a,30.0,50.0"]);
        Ok(())
    }
}
