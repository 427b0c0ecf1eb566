//! Alerts where a sensor's temperature differs from its last one by more than `threshold` degrees.
//!
//! Shows the alert as a plain function from a reading and the state of its sensor to alerts and the
//! new state. `temp-alert` and `temp-alert-flat-map` are the same alert in the two other ways.
//!
//! After `flatMapWithState` in the Scala API of Flink. Run it with
//!
//! ```text
//! tidegate build examples/temp-alert-with-state
//! tidegate run examples/temp-alert-with-state/job.toml
//! ```

use tidegate_sdk::prelude::*;

struct TempAlert {
    threshold: f64,
}

impl FlatMapWithStateFunction for TempAlert {
    /// `id,unix_seconds,temperature`
    type In<'a> = Csv<(&'a str, &'a str, f64)>;
    /// The last temperature.
    type State = f64;
    /// `id,previous,current`
    type Out = Csv<(String, f64, f64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self { threshold: setup.param("threshold", 10.0)? })
    }

    fn flat_map_with_state(
        &mut self,
        Csv((id, _seconds, temperature)): Self::In<'_>,
        state: Option<f64>,
    ) -> Result<(Vec<Self::Out>, Option<f64>)> {
        let alert = state
            .filter(|last| (temperature - last).abs() > self.threshold)
            .map(|last| Csv((id.to_owned(), last, temperature)));
        Ok((Vec::from_iter(alert), Some(temperature)))
    }
}

tidegate_sdk::export!(flat_map_with_state: TempAlert);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn the_first_reading_gives_no_alert() -> Result<()> {
        let mut alert = Harness::flat_map_with_state::<TempAlert>().open()?;
        alert.push("s", "s,1,35.8", 1_000)?;
        alert.push("s", "s,2,45.8", 2_000)?;
        alert.push("s", "s,3,56", 3_000)?;
        assert_eq!(alert.take_output(), ["s,45.8,56.0"]);
        Ok(())
    }
}
