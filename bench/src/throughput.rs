//! The count-per-key job, file to file, beside the plain native loop in the same run.
//!
//! Both read the same generated CSV events and their outputs are compared. Machines are noisy, so
//! the two take turns and what counts is the ratio of each pair.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::{input, native, tidegate_run};

/// Events in the input.
const EVENTS: u64 = 4_000_000;

/// Distinct keys in the input, some far more frequent than others.
const KEYS: u64 = 100_000;

/// Pairs of runs that count, after one that does not.
const ROUNDS: usize = 5;

/// Tidegate at parallelism 2 takes at most that many times as long as the single-threaded native
/// loop.
const RATIO_MAX: f64 = 2.5;

/// Tidegate uses at most that much memory.
const MEMORY_BYTES_MAX: u64 = 300_000_000;

/// One pair of runs.
struct Pair {
    native_seconds: f64,
    tidegate_seconds: f64,
    memory_bytes: u64,
}

/// Runs the pairs. Whether the bars hold.
pub fn run(target: &Path) -> Result<bool> {
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    let events = folder.join("events.csv");
    input::make(&events, EVENTS, KEYS)?;
    measure(target, &folder, &events)?;
    let mut pairs = Vec::new();
    for _ in 0..ROUNDS {
        pairs.push(measure(target, &folder, &events)?);
    }
    Ok(report(&pairs))
}

fn measure(target: &Path, folder: &Path, events: &Path) -> Result<Pair> {
    let native_out = folder.join("native.csv");
    let start = Instant::now();
    native::count_per_key(events, &native_out)?;
    let native_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let run = tidegate_run::run(target, folder, events)?;
    let tidegate_seconds = start.elapsed().as_secs_f64();
    let expected = input::fingerprint(&[native_out])?;
    let found = input::fingerprint(&run.outputs)?;
    ensure!(expected == found, "the outputs differ: {expected:?} native, {found:?} tidegate");
    Ok(Pair { native_seconds, tidegate_seconds, memory_bytes: run.memory_bytes })
}

fn report(pairs: &[Pair]) -> bool {
    println!("count per key, {EVENTS} CSV events, {KEYS} keys, file to file, parallelism 2");
    println!("| native s | tidegate s | ratio | tidegate memory MB |");
    println!("|---|---|---|---|");
    let mut ratios = Vec::new();
    for Pair { native_seconds, tidegate_seconds, memory_bytes } in pairs {
        let ratio = tidegate_seconds / native_seconds;
        let megabytes = memory_bytes / 1_000_000;
        println!("| {native_seconds:.3} | {tidegate_seconds:.3} | {ratio:.2} | {megabytes} |");
        ratios.push(ratio);
    }
    ratios.sort_by(f64::total_cmp);
    let median = ratios[ratios.len() / 2];
    let memory = pairs.iter().map(|pair| pair.memory_bytes).max().unwrap_or(0);
    println!("median ratio {median:.2} (at most {RATIO_MAX}), outputs equal");
    median <= RATIO_MAX && memory <= MEMORY_BYTES_MAX
}
