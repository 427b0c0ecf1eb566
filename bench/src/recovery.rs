//! Checkpoints and restores of 1 GB of keyed state, on each backend.
//!
//! A job keeps the last record of a million keys, 1,000 bytes each, and answers every record. First
//! all keys are written as fast as the job takes them. Then 1 % of them change from one checkpoint
//! to the next, at a steady rate, and each record's latency is taken from outside. Then the job is
//! killed, and started again from the newest checkpoint.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidegate::checkpoint::catalog::Catalog;
use tidegate::checkpoint::manifest::{FileRef, Kind, Manifest};
use tidegate::checkpoint::storage;
use tidegate::env::Random;
use tidegate::job::control::{Registry, Request};

use crate::probes::Probes;

/// Keys, one for each of the first records.
const KEYS: u64 = 1_000_000;

/// Bytes of a record without its line end: of the state of a key.
const RECORD_BYTES: usize = 1000;

/// From one checkpoint to the next.
const INTERVAL: Duration = Duration::from_secs(10);

/// Records a second: 1 % of the keys from one checkpoint to the next, none of them twice.
const RATE: u64 = KEYS / 100 / INTERVAL.as_secs();

/// Checkpoints whose effect on latency is measured.
const CHECKPOINTS: u32 = 6;

/// Runs both backends and prints what each came to. There is no bar.
pub fn run(target: &Path) -> Result<bool> {
    println!("{KEYS} keys of {RECORD_BYTES} bytes, parallelism 2, {RATE} records/s");
    println!(
        "| backend | checkpoint | savepoint | written when 1 % changed (median) | (max) | \
         latency p50 | p99 | max | p99 without checkpoints | restored in | memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    for backend in ["hashmap", "rocksdb"] {
        let folder = target.join("bench").join(format!("recovery-{backend}"));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(&folder)?;
        let bench = Bench { binary: target.join("tidegate"), folder, backend };
        println!("{}", bench.measure()?);
        fs::remove_dir_all(&bench.folder)?;
    }
    Ok(true)
}

/// `number,key,noise`. A key comes back after `KEYS` records, and neighbours are far apart. Noise,
/// since what is alike can be compressed.
fn record(number: u64, out: &mut Vec<u8>) {
    let key = number.wrapping_mul(7_919) % KEYS;
    out.extend_from_slice(format!("{number},k{key},").as_bytes());
    let mut random = Random::new(number);
    while out.len() < RECORD_BYTES {
        let bits = random.number();
        out.extend((0..10).map(|digit| b'0' + (bits >> (6 * digit)) as u8 % 64));
    }
    out.truncate(RECORD_BYTES);
    out.push(b'\n');
}

/// A job on one backend.
struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    backend: &'static str,
}

impl Bench {
    fn measure(&self) -> Result<String> {
        let (mut job, mut probes) = self.start(Duration::from_secs(3600))?;
        probes.burst(KEYS)?;
        let calm = probes.pace(RATE, INTERVAL)?;
        stop(&mut job)?;

        let (mut job, mut probes) = self.start(INTERVAL)?;
        probes.burst(KEYS)?;
        // The second one from here holds nothing but what changes at this rate.
        probes.pace(RATE, 2 * INTERVAL)?;
        let busy = probes.pace(RATE, INTERVAL * CHECKPOINTS)?;
        let client = Registry::of_user()?.find(&self.name())?.client;
        let checkpoint = client.status()?.checkpoints.last.context("there were checkpoints")?;
        let written = self.bytes_written()?;
        client.request(&Request::Savepoint { path: None })?;
        let savepoint = client.status()?.checkpoints.last.context("there is a savepoint")?;
        ensure!(savepoint.kind == Kind::Savepoint, "a checkpoint came in between");
        let memory = memory_bytes(job.id())?;
        job.kill()?;
        job.wait()?;

        let start = Instant::now();
        let (mut job, mut probes) = self.start(Duration::from_secs(3600))?;
        probes.go_on_at(2 * KEYS);
        probes.burst(1)?;
        let restored = start.elapsed();
        stop(&mut job)?;
        Ok(format!(
            "| {} | {} ms | {} ms | {:.1} MB | {:.1} MB | \
             {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | \
             {:.2} s | {} MB |",
            self.backend,
            checkpoint.duration_ms,
            savepoint.duration_ms,
            written[written.len() / 2] as f64 / 1e6,
            written[written.len() - 1] as f64 / 1e6,
            busy.quantile_ms(0.5),
            busy.quantile_ms(0.99),
            busy.quantile_ms(1.0),
            calm.quantile_ms(0.99),
            restored.as_secs_f64(),
            memory / 1_000_000,
        ))
    }

    fn start(&self, interval: Duration) -> Result<(Child, Probes)> {
        let job = self.folder.join("job.toml");
        fs::write(&job, self.job_file(interval))?;
        let mut child = Command::new(&self.binary)
            .arg("run")
            .arg(&job)
            .args(["--restore", "latest"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.folder.join("stderr"))?)
            .spawn()
            .context("cannot start tidegate; run `cargo build --release -p tidegate`")?;
        let probes = Probes::new(&mut child, record)?;
        Ok((child, probes))
    }

    fn job_file(&self, interval: Duration) -> String {
        let component =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/last/last.wasm");
        let (backend, component) = (self.backend, component.display());
        format!(
            r#"[job]
name = "{}"
parallelism = 2

[state]
backend = "{backend}"

[checkpoint]
storage = "file://checkpoints"
interval = "{}s"
keep = {}

[[source]]
id = "probes"
connector = "stdin"
format = "csv"

[[operator]]
id = "last"
component = "{component}"
inputs = [{{ from = "probes", partition = {{ key = 1 }} }}]

[[sink]]
id = "out"
connector = "stdout"
from = "last"
"#,
            self.name(),
            interval.as_secs(),
            CHECKPOINTS + 1,
        )
    }

    fn name(&self) -> String {
        format!("recovery-{}", self.backend)
    }

    /// What each of the newest checkpoints wrote that the one before it did not, in order of size.
    fn bytes_written(&self) -> Result<Vec<u64>> {
        let catalog = Catalog::new(storage::open("checkpoints", &self.folder)?);
        let manifests = catalog.entries()?.into_iter().map(|entry| Ok(entry.located?.manifest));
        let mut manifests = manifests.collect::<Result<Vec<Manifest>>>()?;
        manifests.sort_by_key(|manifest| manifest.id);
        let mut written = Vec::new();
        for pair in manifests.windows(2) {
            let is_new = |file: &&FileRef| pair[0].files().all(|known| known.name != file.name);
            written.push(pair[1].files().filter(is_new).map(|file| file.bytes).sum());
        }
        ensure!(written.len() >= CHECKPOINTS as usize, "there are too few checkpoints");
        written.drain(..written.len() - CHECKPOINTS as usize);
        written.sort_unstable();
        Ok(written)
    }
}

/// Kills a job whose output nobody needs.
fn stop(job: &mut Child) -> Result<()> {
    job.kill()?;
    job.wait()?;
    Ok(())
}

/// The high-water mark of a process's resident memory.
fn memory_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kibibytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024)
}
