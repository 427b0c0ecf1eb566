//! The generator source: made-up records, the same for the same settings, with keys of skewed
//! frequency.

use std::fmt;
use std::io::Write;

use super::{Connector, Next};
use crate::checkpoint::manifest::SourcePosition;
use crate::env::Random;
use crate::error::Result;
use crate::job::plan::{GeneratorPlan, GeneratorShape};
use crate::model::date;

/// The pages that clicks go to.
const URLS: [&str; 6] = ["/home", "/cart", "/search", "/product/1", "/product/2", "/checkout"];

/// Who clicks, and where, in the source document. Further users are numbered: `Mary2`.
const NAMES: [&str; 4] = ["Mary", "Alice", "Bob", "Cary"];
const PAGES: [&str; 5] = ["./home", "./cart", "./fav", "./prod?id=1", "./prod?id=2"];

/// Types of user events, and products, in the source document.
const EVENT_TYPES: u64 = 3;
const PRODUCTS: u64 = 4;

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
            GeneratorShape::NamedClicks => {
                let names = NAMES.len() as u64;
                let name = NAMES[(key % names) as usize];
                let page = PAGES[below(&mut self.random, PAGES.len() as u64) as usize];
                match key / names {
                    0 => write!(self.record, "{name},{page},{time}"),
                    more => write!(self.record, "{name}{},{page},{time}", more + 1),
                }
            }
            GeneratorShape::UserEvents => {
                let event_type = below(&mut self.random, EVENT_TYPES);
                let product = below(&mut self.random, PRODUCTS);
                write!(
                    self.record,
                    "{{\"userID\": \"user_{}\", \"eventTime\": \"{}\", \
                     \"eventType\": \"type_{event_type}\", \"productID\": {product}}}",
                    key + 1,
                    Moment(time)
                )
            }
        };
        written.expect("a vector takes everything");
        &self.record
    }
}

/// A time as `2019-08-17 12:19:47`, in UTC.
struct Moment(i64);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.div_euclid(1000);
        let (year, month, day) = date(seconds.div_euclid(86_400));
        let of_day = seconds.rem_euclid(86_400);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
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

    const CLICKS: [&str; 3] = [
        "Mary,./prod?id=2,1566044387000",
        "Alice,./cart,1566044387500",
        "Mary,./home,1566044388000",
    ];

    const EVENTS: [&str; 3] = [
        "{\"userID\": \"user_1\", \"eventTime\": \"2019-08-17 12:19:47\", \
         \"eventType\": \"type_2\", \"productID\": 2}",
        "{\"userID\": \"user_1\", \"eventTime\": \"2019-08-17 12:19:47\", \
         \"eventType\": \"type_1\", \"productID\": 1}",
        "{\"userID\": \"user_1\", \"eventTime\": \"2019-08-17 12:19:48\", \
         \"eventType\": \"type_0\", \"productID\": 3}",
    ];

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
    fn the_shapes_of_the_source_document() {
        let make = |shape, keys| {
            let settings = GeneratorPlan { keys, start_ms: 1_566_044_387_000, ..settings(shape) };
            let mut generator = Generator::new("g", settings, 0, None);
            (0..3).map(|_| String::from_utf8_lossy(generator.make()).into_owned()).collect()
        };
        let clicks: Vec<String> = make(GeneratorShape::NamedClicks, 4);
        assert_eq!(clicks, CLICKS);
        let events: Vec<String> = make(GeneratorShape::UserEvents, 4);
        assert_eq!(events, EVENTS);
        let many: Vec<String> = make(GeneratorShape::NamedClicks, 5_000_000);
        assert!(many.iter().all(|click| NAMES.iter().any(|name| click.starts_with(name))));
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
