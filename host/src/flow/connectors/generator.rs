//! The generator source: made-up records, the same for the same settings, with keys of skewed
//! frequency.

use std::io::Write;

use super::{Connector, Next};
use crate::checkpoint::manifest::SourcePosition;
use crate::env::Random;
use crate::error::Result;
use crate::job::plan::{GeneratorPlan, GeneratorShape};

/// The pages that clicks go to.
const URLS: [&str; 6] = ["/home", "/cart", "/search", "/product/1", "/product/2", "/checkout"];

/// A source of made-up records.
#[derive(Debug)]
pub struct Generator {
    settings: GeneratorPlan,
    name: String,
    named: bool,
    random: Random,
    made: u64,
    started_ms: i64,
    record: Vec<u8>,
}

/// A number below `bound`.
fn below(random: &mut Random, bound: u64) -> u64 {
    ((u128::from(random.number()) * u128::from(bound)) >> 64) as u64
}

/// A number below `bound`, small ones more often: half of the draws fall into the first quarter.
fn skewed_below(random: &mut Random, bound: u64) -> u64 {
    let first = below(random, bound);
    ((u128::from(first) * u128::from(below(random, bound) + 1)) / u128::from(bound)) as u64
}

impl Generator {
    /// A generator that began at processing time `now`.
    pub fn new(
        source: &str,
        settings: GeneratorPlan,
        now: i64,
        restored: Option<&SourcePosition>,
    ) -> Self {
        let random = Random::new(restored.map_or(settings.seed, |from| from.offset));
        let made = restored.map_or(0, |from| from.line);
        let name = format!("generator {source}");
        let mut generator =
            Self { settings, name, named: false, random, made, started_ms: 0, record: Vec::new() };
        // The rate holds from now on: what a pause has left out is not made up for.
        generator.started_ms = now.saturating_sub(generator.due().unwrap_or(0));
        generator
    }

    /// When the next record is due at the wanted rate.
    fn due(&self) -> Option<i64> {
        let after = u128::from(self.made) * 1000 / u128::from(self.settings.rate?.max(1));
        Some(self.started_ms.saturating_add(i64::try_from(after).unwrap_or(i64::MAX)))
    }

    /// Makes the next record, whatever the rate and the count.
    pub fn make(&mut self) -> &[u8] {
        let GeneratorPlan { shape, keys, start_ms, step_ms, .. } = self.settings;
        let steps = i64::try_from(self.made).unwrap_or(i64::MAX);
        let time = start_ms.saturating_add(steps.saturating_mul(step_ms));
        let key = skewed_below(&mut self.random, keys.max(1));
        self.made += 1;
        self.record.clear();
        let written = match shape {
            GeneratorShape::Clicks => {
                let url = URLS[below(&mut self.random, URLS.len() as u64) as usize];
                write!(self.record, "user_{key},{url},{time}")
            }
            GeneratorShape::Sensors => {
                let tenths = below(&mut self.random, 600);
                let (whole, tenth) = (tenths / 10, tenths % 10);
                write!(self.record, "sensor_{key},{},{whole}.{tenth}", time.div_euclid(1000))
            }
        };
        written.expect("a vector takes everything");
        &self.record
    }
}

impl Connector for Generator {
    fn next(&mut self, now: i64) -> Result<Next<'_>> {
        if !self.named {
            self.named = true;
            return Ok(Next::Split(self.name.as_str().into()));
        }
        if self.settings.count.is_some_and(|count| self.made >= count) {
            return Ok(Next::End);
        }
        if let Some(due) = self.due()
            && due > now
        {
            return Ok(Next::Nothing(Some(due)));
        }
        let number = self.made + 1;
        Ok(Next::Line(self.make(), number))
    }

    fn position(&self) -> SourcePosition {
        let Self { random, made, .. } = self;
        SourcePosition { offset: random.state(), line: *made, ..SourcePosition::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(shape: GeneratorShape) -> GeneratorPlan {
        GeneratorPlan {
            shape,
            count: Some(3),
            rate: Some(10),
            seed: 7,
            keys: 5,
            start_ms: 1000,
            step_ms: 500,
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_records_for_ever() {
        let mut clicks = Generator::new("c", settings(GeneratorShape::Clicks), 0, None);
        let clicks: Vec<String> =
            (0..3).map(|_| String::from_utf8_lossy(clicks.make()).into_owned()).collect();
        assert_eq!(clicks, ["user_0,/checkout,1000", "user_1,/cart,1500", "user_0,/home,2000"]);
        let mut sensors = Generator::new("s", settings(GeneratorShape::Sensors), 0, None);
        assert_eq!(sensors.make(), b"sensor_0,1,54.0");
    }

    #[test]
    fn keeps_to_its_rate_and_count() {
        let mut generator = Generator::new("g", settings(GeneratorShape::Clicks), 50, None);
        let mut give = |now| match generator.next(now).expect("it cannot fail") {
            Next::Line(_, number) => format!("line {number}"),
            Next::Split(name) => name.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(give(50), "generator g");
        assert_eq!(give(50), "line 1");
        assert_eq!(give(50), "Nothing(Some(150))");
        assert_eq!([give(300), give(300)], ["line 2", "line 3"]);
        assert_eq!(give(300), "End");
    }

    #[test]
    fn goes_on_where_it_stood() {
        let mut whole = Generator::new("g", settings(GeneratorShape::Sensors), 0, None);
        whole.make();
        let place = whole.position();
        let mut rest = Generator::new("g", settings(GeneratorShape::Sensors), 77, Some(&place));
        assert_eq!(rest.due(), Some(77));
        for _ in 0..2 {
            assert_eq!(whole.make(), rest.make());
        }
    }
}
