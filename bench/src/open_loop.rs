//! Records that are sent into a job at a steady rate whatever it answers, and how long each takes:
//! the fast sibling of `probes`, for rates near a job's capacity.
//!
//! A record is due at a time that does not depend on the answers to those before, and its latency
//! counts from then, also if it was sent late. One thread sends, one receives; neither allocates a
//! record.

use std::io::{BufWriter, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};

/// Records that are due together are sent together, that often.
const TICK: Duration = Duration::from_millis(1);

/// Distinct keys, one after the other, neighbours far apart.
const KEYS: u64 = 100_000;

/// The length of a record, without its end.
const RECORD_BYTES: usize = 30;

/// The two ends of a job that answers each record by its number.
pub struct OpenLoop {
    input: BufWriter<ChildStdin>,
    output: ChildStdout,
    /// The number of the next record.
    next: u64,
    record: Vec<u8>,
}

/// When records are due.
#[derive(Clone, Copy)]
struct Schedule {
    first: u64,
    count: u64,
    start: Instant,
    /// Records a second; none if all are due at once.
    rate: Option<u64>,
}

impl Schedule {
    fn due(&self, number: u64) -> Instant {
        let after = |rate| Duration::from_nanos((number - self.first) * 1_000_000_000 / rate);
        self.start + self.rate.map_or(Duration::ZERO, after)
    }
}

impl OpenLoop {
    /// Takes the pipes of a job and waits until it answers.
    pub fn new(job: &mut Child) -> Result<Self> {
        let input = job.stdin.take().context("standard input is a pipe")?;
        let output = job.stdout.take().context("standard output is a pipe")?;
        let input = BufWriter::with_capacity(1 << 16, input);
        let mut open_loop = Self { input, output, next: 0, record: Vec::new() };
        open_loop.send_all(1, None)?;
        Ok(open_loop)
    }

    /// How many records a second the job takes if they are all there.
    pub fn capacity(&mut self, count: u64) -> Result<u64> {
        let start = Instant::now();
        self.send_all(count, None)?;
        Ok((count as f64 / start.elapsed().as_secs_f64()) as u64)
    }

    /// Sends `rate` records a second for a time; the latency of each in microseconds, ascending.
    pub fn pace(&mut self, rate: u64, time: Duration) -> Result<Vec<u32>> {
        let count = rate * time.as_millis() as u64 / 1000;
        let mut latencies = self.send_all(count, Some(rate))?;
        latencies.sort_unstable();
        Ok(latencies)
    }

    /// Sends records as they are due, and takes as many answers.
    fn send_all(&mut self, count: u64, rate: Option<u64>) -> Result<Vec<u32>> {
        let Self { input, output, next, record } = self;
        let schedule = Schedule { first: *next, count, start: Instant::now(), rate };
        let latencies = thread::scope(|scope| {
            let receiver = scope.spawn(move || receive(output, schedule));
            send(input, schedule, record)?;
            receiver.join().map_err(|_| anyhow!("the receiver panicked"))?
        })?;
        *next += count;
        Ok(latencies)
    }
}

fn send(input: &mut impl Write, schedule: Schedule, record: &mut Vec<u8>) -> Result<()> {
    // Nobody ever sends: waiting for it is waiting for the clock.
    let (_quiet, clock) = mpsc::channel::<()>();
    let mut text = itoa::Buffer::new();
    let end = schedule.first + schedule.count;
    let mut number = schedule.first;
    while number < end {
        let now = Instant::now();
        while number < end && schedule.due(number) <= now {
            record.clear();
            record.extend_from_slice(text.format(number).as_bytes());
            record.extend_from_slice(b",k");
            record.extend_from_slice(text.format(number.wrapping_mul(7_919) % KEYS).as_bytes());
            record.push(b',');
            record.resize(RECORD_BYTES.max(record.len() + 1), b'x');
            record.push(b'\n');
            input.write_all(record)?;
            number += 1;
        }
        input.flush()?;
        if number < end {
            let _ = clock.recv_timeout(TICK);
        }
    }
    Ok(())
}

fn receive(output: &mut impl Read, schedule: Schedule) -> Result<Vec<u32>> {
    let mut latencies = Vec::with_capacity(schedule.count as usize);
    let mut buffer = vec![0; 1 << 16];
    let mut number = 0_u64;
    while latencies.len() < schedule.count as usize {
        let read = output.read(&mut buffer)?;
        let at = Instant::now();
        ensure!(read > 0, "the job ended after {} answers", latencies.len());
        for &byte in &buffer[..read] {
            if byte != b'\n' {
                ensure!(byte.is_ascii_digit(), "an answer is no number");
                number = number * 10 + u64::from(byte - b'0');
                continue;
            }
            let is_sent = (schedule.first..schedule.first + schedule.count).contains(&number);
            ensure!(is_sent, "an answer to record {number}, which was not sent");
            let latency = at.saturating_duration_since(schedule.due(number));
            latencies.push(u32::try_from(latency.as_micros()).unwrap_or(u32::MAX));
            number = 0;
        }
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_late_is_charged_from_when_it_was_due() {
        let start = Instant::now().checked_sub(Duration::from_secs(2)).unwrap();
        let schedule = Schedule { first: 5, count: 2, start, rate: Some(1) };
        let latencies = receive(&mut &b"6\n5\n"[..], schedule).unwrap();
        assert!((1_000_000..1_500_000).contains(&latencies[0]), "{latencies:?}");
        assert!((2_000_000..2_500_000).contains(&latencies[1]), "{latencies:?}");
        assert!(receive(&mut &b"7\n"[..], schedule).is_err(), "nobody sent it");
        assert!(receive(&mut &b"5\n"[..], schedule).is_err(), "one is missing");
    }

    #[test]
    fn records_are_sent_in_order_and_as_long_as_promised() {
        let mut sent = Vec::new();
        let schedule = Schedule { first: 7, count: 3, start: Instant::now(), rate: None };
        send(&mut sent, schedule, &mut Vec::new()).unwrap();
        let lines: Vec<&str> = std::str::from_utf8(&sent).unwrap().lines().collect();
        assert_eq!(lines.len(), 3);
        assert!(lines.iter().all(|line| line.len() == RECORD_BYTES));
        assert!(lines[0].starts_with("7,k55433,x") && lines[2].starts_with("9,k"), "{lines:?}");
    }
}
