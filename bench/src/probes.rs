//! Records that are sent into a job at a steady rate, and how long each takes to come out.
//!
//! A record is due at a time that does not depend on the answers to those before, and its latency
//! counts from then: a job that stands still is charged for everything that waits (what Gil Tene
//! calls the absence of coordinated omission).

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

/// Records that are due together are sent together, that often.
const TICK: Duration = Duration::from_millis(1);

/// No answer takes that long.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);

/// The two ends of a job that reads its standard input and answers each record by its number.
pub struct Probes {
    input: BufWriter<ChildStdin>,
    answers: Receiver<(u64, Instant)>,
    /// The number of the next record.
    next: u64,
    make: fn(u64, &mut Vec<u8>),
}

impl Probes {
    /// Takes the pipes of a job. `make` writes the record of a number, which comes first in it.
    pub fn new(job: &mut Child, make: fn(u64, &mut Vec<u8>)) -> Result<Self> {
        Self::with_answers(job, make, |line| line.parse().ok())
    }

    /// Takes the pipes of a job in whose answers `number_of` finds the number of the record.
    pub fn with_answers(
        job: &mut Child,
        make: fn(u64, &mut Vec<u8>),
        number_of: fn(&str) -> Option<u64>,
    ) -> Result<Self> {
        let input = job.stdin.take().context("standard input is a pipe")?;
        let output = job.stdout.take().context("standard output is a pipe")?;
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || read_answers(output, number_of, &sender));
        let input = BufWriter::with_capacity(1 << 20, input);
        Ok(Self { input, answers, next: 0, make })
    }

    /// Goes on at another number.
    pub fn go_on_at(&mut self, number: u64) {
        self.next = number;
    }

    fn send(&mut self, record: &mut Vec<u8>) -> Result<()> {
        record.clear();
        (self.make)(self.next, record);
        self.next += 1;
        Ok(self.input.write_all(record)?)
    }

    fn answer(&self) -> Result<(u64, Instant)> {
        Ok(self.answers.recv_timeout(ANSWER_TIME_MAX)?)
    }

    /// Sends `count` records as fast as the job takes them and waits for their answers.
    pub fn burst(&mut self, count: u64) -> Result<()> {
        let mut record = Vec::new();
        for _ in 0..count {
            self.send(&mut record)?;
        }
        self.input.flush()?;
        for _ in 0..count {
            self.answer()?;
        }
        Ok(())
    }

    /// Sends `rate` records a second for a time, and returns the latency of each.
    pub fn pace(&mut self, rate: u64, time: Duration) -> Result<Latencies> {
        // Nobody ever sends: waiting for it is waiting for the clock.
        let (_quiet, clock) = mpsc::channel::<()>();
        let first = self.next;
        let count = rate * time.as_millis() as u64 / 1000;
        let start = Instant::now();
        let due = |number: u64| start + Duration::from_nanos(number * 1_000_000_000 / rate);
        let mut record = Vec::new();
        while self.next - first < count {
            let now = Instant::now();
            while self.next - first < count && due(self.next - first) <= now {
                self.send(&mut record)?;
            }
            self.input.flush()?;
            let _ = clock.recv_timeout(TICK);
        }
        let mut latencies = Vec::with_capacity(count as usize);
        for _ in 0..count {
            let (number, at) = self.answer()?;
            ensure!(number >= first, "record {number} is answered twice");
            latencies.push(at.saturating_duration_since(due(number - first)));
        }
        latencies.sort_unstable();
        Ok(Latencies(latencies))
    }
}

fn read_answers(
    output: ChildStdout,
    number_of: fn(&str) -> Option<u64>,
    sender: &mpsc::Sender<(u64, Instant)>,
) {
    for line in BufReader::with_capacity(1 << 20, output).lines().map_while(Result::ok) {
        let at = Instant::now();
        let Some(number) = number_of(&line) else { return };
        if sender.send((number, at)).is_err() {
            return;
        }
    }
}

/// Latencies in order, the shortest first.
pub struct Latencies(Vec<Duration>);

impl Latencies {
    /// That of the record which `share` of all records are not slower than, in milliseconds.
    pub fn quantile_ms(&self, share: f64) -> f64 {
        let index = ((self.0.len() as f64 * share).ceil() as usize).clamp(1, self.0.len()) - 1;
        self.0[index].as_secs_f64() * 1000.0
    }
}
