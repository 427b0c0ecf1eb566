//! Alerts where a sensor's temperature differs from its last one by more than `threshold` degrees.
//!
//! Shows the smallest stateful function there is: one `ValueState`. It also shows a record type
//! that reads itself, since the fields of sensor lines may have spaces around them. The same alert
//! as a rich flat map is in `temp-alert-flat-map`.
//!
//! After `TempChangeAlert`, a Flink `KeyedProcessFunction`, with one difference: there the last
//! temperature of a new sensor is 0, here the first reading of a sensor gives no alert. Run it with
//!
//! ```text
//! tidegate build examples/temp-alert
//! tidegate run examples/temp-alert/job.toml
//! ```

use std::fmt::Display;
use std::str::FromStr;

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// A reading: `id,unix_seconds,temperature`, with spaces around the fields or without.
///
/// The id is that of the key and the time that of the event, so only the temperature is kept.
struct SensorReading {
    temperature: f64,
}

impl<'a> Decode<'a> for SensorReading {
    fn decode(record: &'a [u8]) -> Result<Self> {
        let Csv((_id, seconds, temperature)) = Csv::<(IgnoredAny, &str, &str)>::decode(record)?;
        // Not used here, but a line without a time is no reading.
        number::<i64>("time", seconds)?;
        Ok(Self { temperature: number("temperature", temperature)? })
    }
}

/// Reads a number that may have spaces around it.
fn number<T: FromStr<Err: Display>>(what: &str, text: &str) -> Result<T> {
    text.trim().parse().map_err(|error| Error::msg(format_args!("{what} {text:?}: {error}")))
}

/// The key of a reading for jobs that say `partition = "function"` instead of naming a field: the
/// id without the spaces around it.
struct ById;

impl KeySelector for ById {
    type In<'a> = Csv<(&'a str, IgnoredAny, IgnoredAny)>;

    fn key(Csv((id, _seconds, _temperature)): Self::In<'_>) -> Result<Vec<u8>> {
        Ok(id.trim().as_bytes().to_vec())
    }
}

/// `id,previous,current`.
type Alert = Csv<(String, f64, f64)>;

struct TempAlert {
    threshold: f64,
    last_temp: ValueState<f64>,
}

impl KeyedProcessFunction for TempAlert {
    type In<'a> = SensorReading;
    type Out = Alert;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            threshold: setup.param("threshold", 10.0)?,
            last_temp: setup.value_state("last-temp"),
        })
    }

    fn process_element(
        &mut self,
        SensorReading { temperature }: SensorReading,
        ctx: &mut KeyedContext<'_, Alert>,
    ) -> Result<()> {
        if let Some(last) = self.last_temp.value(ctx)?
            && (temperature - last).abs() > self.threshold
        {
            ctx.collect_as(Csv((ctx.key_str()?.trim(), last, temperature)));
        }
        self.last_temp.update(ctx, &temperature)
    }
}

tidegate_sdk::export!(keyed_process: TempAlert, key_by: ById);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::{FaultKind, Harness};

    #[test]
    fn alerts_where_two_readings_differ_by_more_than_the_threshold() -> Result<()> {
        let mut alert = Harness::keyed_process::<TempAlert>().open()?;
        alert.push("s1", "s1,1,50", 1_000)?;
        alert.push("s1", "s1, 2, 60.0 ", 2_000)?;
        assert!(alert.take_output().is_empty(), "10 degrees are not more than 10");
        alert.push("s1", "s1,3,49.5", 3_000)?;
        alert.push("s1", "s1,4,70", 4_000)?;
        assert_eq!(alert.take_output(), ["s1,60.0,49.5", "s1,49.5,70.0"]);
        Ok(())
    }

    #[test]
    fn the_first_reading_of_a_sensor_gives_no_alert() -> Result<()> {
        let mut alert = Harness::keyed_process::<TempAlert>().param("threshold", "0").open()?;
        alert.push("s1", "s1,1,-40.0", 1_000)?;
        alert.push("s2", "s2,1,40.0", 1_000)?;
        assert!(alert.finish()?.is_empty());
        Ok(())
    }

    #[test]
    fn the_key_has_no_spaces_around_it() -> Result<()> {
        assert_eq!(ById::key(Csv::decode(b" s1 ,1,50.0")?)?, b"s1");
        Ok(())
    }

    #[test]
    fn says_what_is_no_temperature() -> Result<()> {
        let mut alert = Harness::keyed_process::<TempAlert>().open()?;
        let fault = alert.push("s1", "s1,1,warm", 1_000).unwrap_err();
        assert_eq!(fault.kind, FaultKind::Malformed);
        assert_eq!(fault.message, "temperature \"warm\": invalid float literal");
        Ok(())
    }
}
