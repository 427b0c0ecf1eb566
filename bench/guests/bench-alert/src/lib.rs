//! Alerts where a sensor's temperature differs from its last one by more than 10 degrees.
//!
//! It is the example `temp-alert` on readings with a fourth field, which makes them as long as the
//! benchmark wants.

use serde::de::IgnoredAny;
use tidegate_sdk::prelude::*;

/// A reading: `id,unix_seconds,temperature,note`.
type Reading = Csv<(IgnoredAny, IgnoredAny, f64, IgnoredAny)>;

struct TempAlert {
    threshold: f64,
    last_temp: ValueState<f64>,
}

impl KeyedProcessFunction for TempAlert {
    type In<'a> = Reading;
    /// `id,previous,current`.
    type Out = Csv<(String, f64, f64)>;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            threshold: setup.param("threshold", 10.0)?,
            last_temp: setup.value_state("last-temp"),
        })
    }

    fn process_element(
        &mut self,
        Csv((_id, _seconds, temperature, _note)): Reading,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        if let Some(last) = self.last_temp.value(ctx)?
            && (temperature - last).abs() > self.threshold
        {
            ctx.collect_as(Csv((ctx.key_str()?, last, temperature)));
        }
        self.last_temp.update(ctx, &temperature)
    }
}

tidegate_sdk::export!(keyed_process: TempAlert);

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_sdk::testing::Harness;

    #[test]
    fn alerts_on_a_jump_of_one_sensor() -> Result<()> {
        let mut alert = Harness::keyed_process::<TempAlert>().open()?;
        alert.push("s1", "s1,1,20.0,x", 1_000)?;
        alert.push("s2", "s2,2,40.0,x", 2_000)?;
        alert.push("s1", "s1,3,31.5,x", 3_000)?;
        assert_eq!(alert.finish()?, ["s1,20.0,31.5"]);
        Ok(())
    }
}
