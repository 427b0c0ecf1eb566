//! The input files of the comparison: made once for given settings, the same on every machine, and
//! read by every contender.
//!
//! Event times rise by 0.1 ms from event to event, each taken back by up to [`DISORDER_MS`], which
//! is less than the delay of the watermarks: no event is late, so results do not depend on when
//! watermarks come.

mod clicks;
mod nexmark;

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tidegate::env::Random;

/// The event time of the first event.
const START_MS: i64 = 1_600_000_000_000;

/// Events in a millisecond of event time.
const EVENTS_A_MS: u64 = 10;

/// By how much an event can be out of order.
const DISORDER_MS: u64 = 500;

/// The delay of the watermarks behind the highest event time, in all contenders.
pub const DELAY_MS: i64 = 1_000;

/// What decides the content of input files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Events; those of all files together.
    pub events: u64,
    /// Possible keys, some far more frequent than others. Nexmark makes its own.
    pub keys: u64,
    /// The length of a line without its end, if its fields leave room.
    pub bytes: usize,
}

/// The input files there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// `user,url,timestamp_ms`
    Clicks,
    /// `id,unix_seconds,temperature,note`
    Sensors,
    /// `id,name,city,state,time_ms,extra`
    Persons,
    /// `id,seller,category,reserve,time_ms,expires_ms,extra`
    Auctions,
    /// `auction,bidder,price,time_ms,extra`
    Bids,
}

impl Input {
    /// The name of the file and of the source.
    pub fn name(self) -> &'static str {
        match self {
            Input::Clicks => "clicks",
            Input::Sensors => "sensors",
            Input::Persons => "persons",
            Input::Auctions => "auctions",
            Input::Bids => "bids",
        }
    }

    /// The field with the event time, and its unit.
    pub fn time(self) -> (usize, &'static str) {
        match self {
            Input::Clicks => (2, "ms"),
            Input::Sensors => (1, "s"),
            Input::Persons | Input::Auctions => (4, "ms"),
            Input::Bids => (3, "ms"),
        }
    }

    /// How many of the events are in this file.
    pub fn records(self, events: u64) -> u64 {
        match self {
            Input::Clicks | Input::Sensors => events,
            Input::Persons | Input::Auctions | Input::Bids => nexmark::records(self, events),
        }
    }

    /// Whether it is of Nexmark, whose keys are what the generator makes.
    pub fn is_nexmark(self) -> bool {
        !matches!(self, Input::Clicks | Input::Sensors)
    }

    /// The file of these settings below `folder`, made or not.
    pub fn path(self, folder: &Path, settings: Settings) -> PathBuf {
        let Settings { events, keys, bytes } = settings;
        let name = self.name();
        match self.is_nexmark() {
            true => folder.join(format!("nexmark-{events}-{bytes}-{name}.csv")),
            false => folder.join(format!("{name}-{events}-{keys}-{bytes}.csv")),
        }
    }

    /// The same, made if it is not there.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn make(self, folder: &Path, settings: Settings) -> Result<PathBuf> {
        let path = self.path(folder, settings);
        if path.exists() {
            return Ok(path);
        }
        let unfinished = path.with_extension("unfinished");
        let file = File::create(&unfinished)
            .with_context(|| format!("cannot make {}", unfinished.display()))?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        match self {
            Input::Clicks => clicks::write_clicks(&mut out, settings)?,
            Input::Sensors => clicks::write_sensors(&mut out, settings)?,
            Input::Persons | Input::Auctions | Input::Bids => {
                nexmark::write(&mut out, self, settings)?;
            }
        }
        out.into_inner()?.sync_all()?;
        std::fs::rename(unfinished, &path)?;
        Ok(path)
    }
}

/// The event time of an event.
fn time(number: u64, random: &mut Random) -> i64 {
    let after = (number / EVENTS_A_MS) as i64;
    START_MS + after - below(random, DISORDER_MS + 1) as i64
}

/// A number below `bound`.
fn below(random: &mut Random, bound: u64) -> u64 {
    ((u128::from(random.number()) * u128::from(bound)) >> 64) as u64
}

/// A number below `bound`, small ones more often: half of the draws fall into the first fifth.
fn skewed_below(random: &mut Random, bound: u64) -> u64 {
    let first = below(random, bound);
    ((u128::from(first) * u128::from(below(random, bound) + 1)) / u128::from(bound)) as u64
}

/// Fills a line up to `bytes`, by at least `least`, and ends it.
fn fill(line: &mut Vec<u8>, bytes: usize, least: usize) {
    let length = bytes.max(line.len() + least);
    line.resize(length, b'x');
    line.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    /// The lines of an input of a thousand events.
    fn lines(input: Input, keys: u64, bytes: usize) -> Vec<String> {
        // Tests run beside each other and make the same inputs: each call has a folder of its own.
        static CALLS: AtomicU64 = AtomicU64::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed);
        let name = format!("tidegate-events-{}-{call}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let settings = Settings { events: 1_000, keys, bytes };
        let path = input.make(&folder, settings).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_are_as_long_as_wanted() {
        for input in [Input::Clicks, Input::Sensors, Input::Persons, Input::Auctions, Input::Bids] {
            let lines = lines(input, 1_000, 100);
            assert!(!lines.is_empty() && lines.iter().all(|line| line.len() == 100), "{input:?}");
            let fields = |line: &String| line.split(',').count();
            assert!(lines.iter().all(|line| fields(line) == fields(&lines[0])), "{input:?}");
        }
        assert!(lines(Input::Clicks, 1_000, 30).iter().all(|line| line.len() == 30));
    }

    #[test]
    fn no_event_is_late() {
        for input in [Input::Clicks, Input::Auctions, Input::Bids] {
            let mut highest = i64::MIN;
            for line in lines(input, 999, 0) {
                let (field, _) = input.time();
                let time: i64 = line.split(',').nth(field).unwrap().parse().unwrap();
                assert!(time > highest.saturating_sub(DELAY_MS), "{input:?}: {line}");
                highest = highest.max(time);
            }
        }
    }

    #[test]
    fn nexmark_events_are_in_proportion() {
        for (input, count) in [(Input::Persons, 20), (Input::Auctions, 60), (Input::Bids, 920)] {
            assert_eq!((lines(input, 0, 1).len(), input.records(1_000)), (count, count as u64));
        }
    }
}
