//! Alerts where a sensor's temperature differs from its last one by more than `threshold` degrees.
//!
//! The same alert as `temp-alert`, as a `RichFlatMapFunction`: the form to choose for a function
//! that has state but no timers. It also shows how serde reads fields in a way of one's own.
//!
//! After `TempChangeAlert2` and the `flatMapWithState` beside it, whose `None` case says that the
//! first reading of a sensor gives no alert. Run it with
//!
//! ```text
//! tidegate build examples/temp-alert-flat-map
//! tidegate run examples/temp-alert-flat-map/job.toml
//! ```

use std::fmt::Display;
use std::str::FromStr;

use serde::de::{Error as _, IgnoredAny};
use serde::{Deserialize, Deserializer};
use tidegate_sdk::prelude::*;

/// A reading: `id,unix_seconds,temperature`, with spaces around the fields or without.
#[derive(Deserialize)]
struct SensorReading {
    /// The key says the same.
    _id: IgnoredAny,
    /// The event time says the same.
    #[serde(deserialize_with = "trimmed")]
    _unix_seconds: i64,
    #[serde(deserialize_with = "trimmed")]
    temperature: f64,
}

/// Reads a number that may have spaces around it.
fn trimmed<'de, D, T>(field: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr<Err: Display>,
{
    let text = <&str>::deserialize(field)?;
    text.trim().parse().map_err(|error| D::Error::custom(format_args!("{error}: {text:?}")))
}

/// `id,previous,current`.
type Alert = Csv<(String, f64, f64)>;

struct TempAlert {
    threshold: f64,
    last_temp: ValueState<f64>,
}

impl RichFlatMapFunction for TempAlert {
    type In<'a> = Csv<SensorReading>;
    type Out = Alert;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            threshold: setup.param("threshold", 10.0)?,
            last_temp: setup.value_state("last-temp"),
        })
    }

    fn flat_map(
        &mut self,
        Csv(reading): Csv<SensorReading>,
        ctx: &mut FlatMapContext<'_, Alert>,
    ) -> Result<()> {
        let last = self.last_temp.value(ctx)?;
        self.last_temp.update(ctx, &reading.temperature)?;
        match last {
            Some(last) if (reading.temperature - last).abs() > self.threshold => {
                ctx.collect_as(Csv((ctx.key_str()?.trim(), last, reading.temperature)));
            }
            _ => {}
        }
        Ok(())
    }
}

tidegate_sdk::export!(rich_flat_map: TempAlert);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::{FaultKind, Harness};

    #[test]
    fn alerts_where_two_readings_differ_by_more_than_the_threshold() -> Result<()> {
        let mut alert = Harness::rich_flat_map::<TempAlert>().open()?;
        alert.push_all([
            ("s1", "s1,1,50.0", 1_000),
            ("s2", "s2,1,20.0", 1_000),
            ("s1", "s1, 2, 61.0", 2_000),
            ("s2", "s2,2,30.0", 2_000),
            ("s1", "s1,3,62.5", 3_000),
        ])?;
        assert_eq!(alert.take_output(), ["s1,50.0,61.0"]);
        assert_eq!(alert.value_state::<f64>("last-temp", "s2")?, Some(30.0));
        Ok(())
    }

    #[test]
    fn the_threshold_is_a_parameter() -> Result<()> {
        let mut alert = Harness::rich_flat_map::<TempAlert>().param("threshold", "0.5").open()?;
        alert.push("s1", "s1,1,20.0", 1_000)?;
        alert.push("s1", "s1,2,20.5", 2_000)?;
        alert.push("s1", "s1,3,19.5", 3_000)?;
        assert_eq!(alert.finish()?, ["s1,20.5,19.5"]);
        Ok(())
    }

    #[test]
    fn says_which_field_is_no_number() -> Result<()> {
        let mut alert = Harness::rich_flat_map::<TempAlert>().open()?;
        let fault = alert.push("s1", "s1,1,warm", 1_000).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed);
        let message = "field 3: invalid float literal: \"warm\" in \"s1,1,warm\"";
        assert_eq!(fault.message, message);
        Ok(())
    }
}
