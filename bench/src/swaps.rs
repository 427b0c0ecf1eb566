//! A hundred swaps in a row between two versions of a function: what they do to records.
//!
//! First under load: a generator at full speed, 100,000 keys, parallelism 2, a checkpoint every
//! second. Afterwards the whole output is read: no record may be missing or there twice, and each
//! key must be counted in order through all versions. Then with records at a steady rate, whose
//! latency is taken from outside, with and without swaps.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidegate::job::control::{
    Client, Confirm, OnFault, Registry, Request, SwapOutcome, SwapRequest,
};

use crate::probes::Probes;

/// Swaps in a row.
const SWAPS: usize = 100;

/// Distinct keys.
const KEYS: u64 = 100_000;

/// Records a second of the second part.
const RATE: u64 = 100_000;

/// How long records come at that rate.
const PACED: Duration = Duration::from_secs(20);

/// The longest pause that 99 of 100 records may see, in milliseconds, and any record.
const BARS_MS: (f64, f64) = (50.0, 250.0);

/// Runs both parts on both backends and prints what they came to. Returns whether the bars are met.
pub fn run(target: &Path) -> Result<bool> {
    let mut is_met = true;
    println!("{SWAPS} swaps in a row, {KEYS} keys, parallelism 2, a checkpoint every second");
    println!(
        "| backend | records/s | change of a partition p50 | p99 | max | swap as asked p50 | max | \
         record latency p99 | max | without swaps p99 | max |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for backend in ["hashmap", "rocksdb"] {
        let folder = target.join("bench").join(format!("swaps-{backend}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let bench = Bench { binary: target.join("tidegate"), folder, backend };
        let loaded = bench.under_load()?;
        let calm = bench.paced(false)?;
        let swapped = bench.paced(true)?;
        println!(
            "| {backend} | {:.0} | {:.2} ms | {:.2} ms | {:.2} ms | {:.0} ms | {:.0} ms | \
             {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms |",
            loaded.records_a_second,
            quantile(&loaded.changes_ms, 0.5),
            quantile(&loaded.changes_ms, 0.99),
            quantile(&loaded.changes_ms, 1.0),
            quantile(&loaded.asked_ms, 0.5),
            quantile(&loaded.asked_ms, 1.0),
            swapped.0,
            swapped.1,
            calm.0,
            calm.1,
        );
        is_met &= swapped.0 < BARS_MS.0 && swapped.1 < BARS_MS.1;
        is_met &= quantile(&loaded.changes_ms, 0.99) < BARS_MS.0;
        is_met &= quantile(&loaded.changes_ms, 1.0) < BARS_MS.1;
        fs::remove_dir_all(&bench.folder)?;
    }
    Ok(is_met)
}

/// What swaps under load came to.
struct Loaded {
    records_a_second: f64,
    /// How long the slowest partition took for each, in order of size.
    changes_ms: Vec<f64>,
    /// From request to answer, in order of size.
    asked_ms: Vec<f64>,
}

struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    backend: &'static str,
}

impl Bench {
    fn under_load(&self) -> Result<Loaded> {
        let source = format!("connector = \"generator\"\nshape = \"clicks\"\nkeys = {KEYS}\n");
        let sink = "connector = \"file\"\npath = \"out/\"\n";
        let mut job = self.start(&source, sink, Stdio::null())?;
        let client = self.client()?;
        let (mut changes_ms, mut asked_ms) = (Vec::new(), Vec::new());
        for number in 0..SWAPS {
            let (change, asked) = swap(&client, number)?;
            changes_ms.push(change);
            asked_ms.push(asked);
        }
        let status = client.status()?;
        let records = status.nodes[1].records_in as f64;
        let records_a_second = records / (status.uptime_ms as f64 / 1000.0);
        client.request(&Request::Stop { savepoint: None })?;
        job.wait()?;
        let counted = self.check_output()?;
        ensure!(counted as f64 >= records, "{counted} of {records} records are in the output");
        changes_ms.sort_by(f64::total_cmp);
        asked_ms.sort_by(f64::total_cmp);
        Ok(Loaded { records_a_second, changes_ms, asked_ms })
    }

    /// Latency of records at a steady rate, in milliseconds: that of 99 in 100, and the highest.
    fn paced(&self, swaps: bool) -> Result<(f64, f64)> {
        let source = "connector = \"stdin\"\nformat = \"csv\"\n";
        let sink = "connector = \"stdout\"\n";
        let mut job = self.start(source, sink, Stdio::piped())?;
        let mut probes = Probes::with_answers(&mut job, record, number_of)?;
        probes.burst(KEYS)?;
        let client = self.client()?;
        let is_over = AtomicBool::new(false);
        let latencies = std::thread::scope(|scope| {
            let swapping = scope.spawn(|| -> Result<()> {
                for number in 0..SWAPS {
                    if !swaps || is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    swap(&client, number)?;
                }
                Ok(())
            });
            let latencies = probes.pace(RATE, PACED);
            is_over.store(true, Ordering::Relaxed);
            swapping.join().expect("it does not panic")?;
            latencies
        })?;
        job.kill()?;
        job.wait()?;
        Ok((latencies.quantile_ms(0.99), latencies.quantile_ms(1.0)))
    }

    fn client(&self) -> Result<Client> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = Registry::of_user()?.find(&self.name());
            match found {
                Ok(job) if job.client.status().is_ok_and(|job| job.nodes[1].records_in > 0) => {
                    return Ok(job.client);
                }
                _ if Instant::now() > deadline => {
                    let story = fs::read_to_string(self.folder.join("stderr"))?;
                    anyhow::bail!("the job does not start: {story}")
                }
                _ => {}
            }
        }
    }

    fn name(&self) -> String {
        format!("swaps-{}", self.backend)
    }

    fn start(&self, source: &str, sink: &str, pipe: Stdio) -> Result<Child> {
        let (name, backend, first) = (self.name(), self.backend, component(0));
        let first = first.display();
        let job = self.folder.join("job.toml");
        fs::write(
            &job,
            format!(
                "[job]\nname = \"{name}\"\nparallelism = 2\n[state]\nbackend = \"{backend}\"\n\
                 [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"1s\"\n\
                 [[source]]\nid = \"in\"\n{source}\
                 [[operator]]\nid = \"count\"\ncomponent = \"{first}\"\n\
                 inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
                 [[sink]]\nid = \"out\"\nfrom = \"count\"\n{sink}"
            ),
        )?;
        let stdin = fs::read_to_string(&job)?.contains("stdin");
        Command::new(&self.binary)
            .arg("run")
            .arg(&job)
            .args(["--restore", "none"])
            .stdin(if stdin { Stdio::piped() } else { Stdio::null() })
            .stdout(pipe)
            .stderr(fs::File::create(self.folder.join("stderr"))?)
            .spawn()
            .context("cannot start tidegate; run `cargo build --release --workspace`")
    }

    /// Reads the whole output: each record once, each key in order. Returns how many there are.
    fn check_output(&self) -> Result<u64> {
        let mut files: Vec<((u64, u64), PathBuf)> = Vec::new();
        for entry in fs::read_dir(self.folder.join("out"))? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some((partition, checkpoint)) =
                name.strip_prefix("part-").and_then(|rest| rest.split_once('-'))
            else {
                continue;
            };
            files.push(((checkpoint.parse()?, partition.parse()?), path));
        }
        files.sort();
        let mut counts: HashMap<String, (u64, u64)> = HashMap::new();
        let (mut records, mut highest, mut sum) = (0_u64, 0_u64, 0_u128);
        for (_, path) in files {
            for line in BufReader::with_capacity(1 << 20, fs::File::open(path)?).lines() {
                let line = line?;
                let fields: Vec<&str> = line.split(',').collect();
                let [key, count, number, _tag] = fields[..] else {
                    anyhow::bail!("{line:?} is no count")
                };
                let (count, number): (u64, u64) = (count.parse()?, number.parse()?);
                let last = counts.entry(key.to_owned()).or_insert((0, 0));
                ensure!(last.0 + 1 == count, "{line} comes after {} of {key}", last.0);
                ensure!(last.0 == 0 || last.1 < number, "{line} comes after record {}", last.1);
                *last = (count, number);
                records += 1;
                highest = highest.max(number);
                sum += u128::from(number);
            }
        }
        // In order by key and none twice: then none is missing if count and sum fit the highest.
        ensure!(highest + 1 == records, "{records} records up to number {highest}");
        ensure!(sum == u128::from(highest) * u128::from(records) / 2, "other records are there");
        Ok(records)
    }
}

fn component(number: usize) -> PathBuf {
    let name = if number.is_multiple_of(2) { "v1" } else { "v2" };
    let path = format!("../tests/guests/swap-{name}/swap_{name}.wasm");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Swaps once. Returns how long the slowest partition took to change and how long the whole took,
/// in milliseconds.
fn swap(client: &Client, number: usize) -> Result<(f64, f64)> {
    let request = SwapRequest {
        operator: "count".into(),
        component: Some(component(number + 1)),
        dry_run: false,
        shadow: None,
        promote: false,
        on_fault: OnFault::Rollback,
        confirm: Confirm::Checkpoints(0),
    };
    let start = Instant::now();
    let answer = client.request(&Request::Swap(request))?;
    let asked = start.elapsed().as_secs_f64() * 1000.0;
    match answer.swap.context("it was a swap")?.outcome {
        SwapOutcome::Swapped { changeover_us, .. } => Ok((changeover_us as f64 / 1000.0, asked)),
        other => anyhow::bail!("swap {number} ended with {other:?}"),
    }
}

/// `key,anything,number`.
fn record(number: u64, out: &mut Vec<u8>) {
    let key = number.wrapping_mul(7_919) % KEYS;
    out.extend_from_slice(format!("k{key},/,{number}\n").as_bytes());
}

/// The number in `key,count,number,tag`.
fn number_of(line: &str) -> Option<u64> {
    line.split(',').nth(2)?.parse().ok()
}

fn quantile(sorted: &[f64], share: f64) -> f64 {
    let index = ((sorted.len() as f64 * share).ceil() as usize).clamp(1, sorted.len()) - 1;
    sorted[index]
}
