//! The arguments of `cargo xtask bench comparison`, and the cells that they select.

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::cell::{Backend, Cell, Contender};
use super::jobs::{JOBS, Job};
use crate::events;

/// What is said if the arguments are wrong.
const HELP: &str = "
Usage: cargo xtask bench comparison [OPTION…]

Each option takes a list, as in `--job count,q3`; without it all are measured.

  --job NAME…          count, pv, window, alert, map, q0, q3, q4, q5, q7, q8, q11, q12, q18
  --backend NAME…      hashmap, rocksdb
  --parallelism N…     1, 2
  --keys N…            1000, 100000, 10000000
  --bytes N…           30, 100, 1000
  --contender NAME…    native, engine, sandbox, flink
  --rounds N           rounds of a cell, of which the median counts (3)
  --full               every number of keys with every length; else one of both stays in the middle
  --quick              200,000 events, one round; nothing is kept
  --events N           as many events; nothing is kept
  --watermarks HOW     of Flink: periodic (its own way), or each, to compare `pv` line for line
  --keep-inputs        leave the input files for the next run
  --render             measure nothing; write the document from what is kept
";

/// The middle of the axes.
const KEYS: u64 = 100_000;
const BYTES: usize = 30;

/// When Flink makes watermarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Watermarks {
    /// Every 200 ms.
    Periodic,
    /// After each record.
    Each,
}

/// The arguments.
pub struct Settings {
    jobs: Vec<&'static Job>,
    backends: Vec<Backend>,
    parallelism: Vec<u32>,
    keys: Vec<u64>,
    bytes: Vec<usize>,
    events: Option<u64>,
    full: bool,
    /// Who takes part.
    pub contenders: Vec<Contender>,
    /// Rounds of a cell.
    pub rounds: usize,
    /// Whether rows are kept and the document is written.
    pub keeps: bool,
    /// Whether input files stay.
    pub keeps_inputs: bool,
    /// When Flink makes watermarks.
    pub watermarks: Watermarks,
    /// Whether only the document is written.
    pub render_only: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jobs: JOBS.iter().collect(),
            backends: vec![Backend::Hashmap, Backend::Rocksdb],
            parallelism: vec![1, 2],
            keys: vec![1_000, KEYS, 10_000_000],
            bytes: vec![BYTES, 100, 1_000],
            events: None,
            full: false,
            contenders: Contender::ALL.to_vec(),
            rounds: 3,
            keeps: true,
            keeps_inputs: false,
            watermarks: Watermarks::Periodic,
            render_only: false,
        }
    }
}

impl Settings {
    /// Reads the arguments.
    ///
    /// # Errors
    /// If one is not known, with the help.
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut settings = Self::default();
        let mut rest = arguments.iter();
        while let Some(option) = rest.next() {
            if !settings.take_flag(option) {
                let value = rest.next().with_context(|| format!("{option} of what?\n{HELP}"))?;
                settings.take(option, value)?;
            }
        }
        Ok(settings)
    }

    fn take_flag(&mut self, option: &str) -> bool {
        match option {
            "--full" => self.full = true,
            "--keep-inputs" => self.keeps_inputs = true,
            "--render" => self.render_only = true,
            "--quick" => {
                self.events = Some(200_000);
                self.rounds = 1;
                self.keeps = false;
                self.keeps_inputs = true;
            }
            _ => return false,
        }
        true
    }

    fn take(&mut self, option: &str, value: &str) -> Result<()> {
        let wrong = || format!("{option} {value}\n{HELP}");
        let words = || value.split(',');
        match option {
            "--job" => {
                let jobs: Option<_> = words().map(Job::find).collect();
                self.jobs = jobs.with_context(wrong)?;
            }
            "--backend" => {
                let find = |word| {
                    let all = [Backend::Hashmap, Backend::Rocksdb];
                    all.into_iter().find(|backend| backend.word() == word)
                };
                self.backends = words().map(find).collect::<Option<_>>().with_context(wrong)?;
            }
            "--contender" => {
                let find = |word| Contender::ALL.into_iter().find(|one| one.word() == word);
                self.contenders = words().map(find).collect::<Option<_>>().with_context(wrong)?;
            }
            "--parallelism" => {
                self.parallelism =
                    words().map(str::parse).collect::<Result<_, _>>().with_context(wrong)?;
            }
            "--keys" => {
                self.keys =
                    words().map(str::parse).collect::<Result<_, _>>().with_context(wrong)?;
            }
            "--bytes" => {
                self.bytes =
                    words().map(str::parse).collect::<Result<_, _>>().with_context(wrong)?;
            }
            "--rounds" => {
                self.rounds = value.parse().with_context(wrong)?;
                ensure!(self.rounds > 0, wrong());
            }
            "--events" => {
                self.events = Some(value.parse().with_context(wrong)?);
                self.keeps = false;
            }
            "--watermarks" => {
                self.watermarks = match value {
                    "periodic" => Watermarks::Periodic,
                    "each" => Watermarks::Each,
                    _ => bail!(wrong()),
                };
            }
            _ => bail!("unknown: {option}\n{HELP}"),
        }
        Ok(())
    }

    /// The cells, those with the same input files next to each other.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells: Vec<Cell> = Vec::new();
        for &job in &self.jobs {
            for &keys in &self.keys_of(job) {
                for &bytes in &self.bytes {
                    let is_crossed = keys != KEYS && bytes != BYTES;
                    if is_crossed && !self.full && self.keys.len() > 1 && self.bytes.len() > 1 {
                        continue;
                    }
                    let events = self.events.unwrap_or_else(|| default_events(job, keys, bytes));
                    let settings = events::Settings { events, keys, bytes };
                    for &backend in &self.backends {
                        for &parallelism in &self.parallelism {
                            cells.push(Cell { job, backend, parallelism, settings });
                        }
                    }
                }
            }
        }
        cells
    }

    /// The numbers of keys that make a difference to a job.
    fn keys_of(&self, job: &Job) -> Vec<u64> {
        match (job.has_keys(), self.keys.contains(&KEYS)) {
            (true, _) => self.keys.clone(),
            (false, true) => vec![KEYS],
            (false, false) => self.keys[..1].to_vec(),
        }
    }
}

/// Enough for Flink to run for several seconds, and for each key to come twice on average.
fn default_events(job: &Job, keys: u64, bytes: usize) -> u64 {
    let by_bytes = if bytes >= 1_000 { 2_000_000 } else { 4_000_000 };
    match job.inputs[0].is_nexmark() {
        true => 2 * by_bytes,
        false => (2 * keys).max(by_bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(arguments: &[&str]) -> Vec<String> {
        let settings = Settings::parse(arguments).unwrap();
        settings.cells().iter().map(Cell::to_string).collect()
    }

    #[test]
    fn one_axis_stays_in_the_middle() {
        let one = ["--job", "count", "--backend", "hashmap", "--parallelism", "2"];
        assert_eq!(cells(&one).len(), 5);
        assert_eq!(cells(&[&one[..], &["--full"]].concat()).len(), 9);
        let many = cells(&[&one[..], &["--keys", "10000000", "--bytes", "30"]].concat());
        let wanted = "count on hashmap, parallelism 2, 20000000 events of 30 bytes, 10000000 keys";
        assert_eq!(many, [wanted]);
    }

    #[test]
    fn jobs_without_keys_of_their_own_have_one_number() {
        assert_eq!(cells(&["--job", "map,q3", "--bytes", "30"]).len(), 2 * 2 * 2);
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for wrong in [&["--job", "cuont"][..], &["--rounds"], &["--rounds", "0"], &["--x", "1"]] {
            assert!(Settings::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
