//! Latency from source to sink at shares of a job's capacity, with a checkpoint every second; and
//! how long a job takes from its start to its first output.
//!
//! The job reads its standard input, keeps the last record of each of 100 k keys, and answers each
//! on its standard output. Sender and receiver share the machine with it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tidegate::job::control::Registry;

use crate::comparison::{self, Backend, Latency, Start};
use crate::open_loop::OpenLoop;

/// Shares of the capacity, in percent.
const PERCENTS: [u64; 3] = [10, 50, 90];

/// Records by which the capacity is found.
const CAPACITY_RECORDS: u64 = 5_000_000;

/// Before records count at a rate, and while they do.
const WARM: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(20);

/// Starts after the first.
const STARTS: usize = 20;

/// Measures latencies, prints them and keeps them for the document. There is no bar here.
pub fn run(target: &Path, arguments: &[&str]) -> Result<bool> {
    let is_quick = arguments == ["--quick"];
    ensure!(is_quick || arguments.is_empty(), "the only option is --quick: a tenth, not kept");
    let part = if is_quick { 10 } else { 1 };
    let mut latencies = Vec::new();
    for backend in [Backend::Hashmap, Backend::Rocksdb] {
        let bench = Bench::new(target, backend)?;
        latencies.append(&mut bench.measure(part)?);
        fs::remove_dir_all(&bench.folder)?;
    }
    let mut results = comparison::kept()?;
    results.latencies = latencies;
    results.mark_as_of_here();
    if is_quick { Ok(true) } else { comparison::keep(&results).map(|()| true) }
}

/// Measures the start of a job, prints and keeps it.
pub fn run_start(target: &Path) -> Result<bool> {
    let bench = Bench::new(target, Backend::Hashmap)?;
    let first = bench.start_once()?;
    let mut others = (0..STARTS).map(|_| bench.start_once()).collect::<Result<Vec<f64>>>()?;
    others.sort_by(f64::total_cmp);
    let start = Start { first, median: others[STARTS / 2], runs: STARTS };
    println!("to the first output: {:.0} ms, then {:.0} ms", start.first, start.median);
    let mut results = comparison::kept()?;
    results.start = Some(start);
    results.mark_as_of_here();
    comparison::keep(&results)?;
    Ok(true)
}

struct Bench {
    binary: PathBuf,
    folder: PathBuf,
    backend: Backend,
}

impl Bench {
    fn new(target: &Path, backend: Backend) -> Result<Self> {
        let folder = target.join("bench").join(format!("latency-{}", backend.word()));
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir_all(folder.join("state"))?;
        let bench = Self { binary: target.join("tidegate"), folder, backend };
        fs::write(bench.folder.join("job.toml"), bench.job_file())?;
        Ok(bench)
    }

    /// A latency for each share, of `1 / part` of the records.
    fn measure(&self, part: u32) -> Result<Vec<Latency>> {
        let mut job = self.spawn()?;
        let mut open_loop = OpenLoop::new(&mut job)?;
        // The first time all keys are new.
        open_loop.capacity(CAPACITY_RECORDS / u64::from(part) / 5)?;
        let capacity = open_loop.capacity(CAPACITY_RECORDS / u64::from(part))?;
        println!("{}: takes {capacity} records/s", self.backend.word());
        let mut latencies = Vec::new();
        for percent in PERCENTS {
            let rate = capacity * percent / 100;
            open_loop.pace(rate, WARM / part)?;
            let before = self.checkpoints()?;
            let found = open_loop.pace(rate, MEASURED / part)?;
            let checkpoints = self.checkpoints()? - before;
            let quantile = |share: f64| {
                let index = ((found.len() as f64 * share).ceil() as usize).clamp(1, found.len());
                f64::from(found[index - 1]) / 1000.0
            };
            let latency = Latency {
                backend: self.backend,
                capacity,
                percent,
                p50: quantile(0.5),
                p99: quantile(0.99),
                p999: quantile(0.999),
                highest: quantile(1.0),
                checkpoints,
            };
            println!("{latency:?}");
            latencies.push(latency);
        }
        drop(open_loop);
        let status = job.wait()?;
        ensure!(status.success(), "tidegate ended with {status}");
        Ok(latencies)
    }

    /// How many checkpoints are complete.
    fn checkpoints(&self) -> Result<u64> {
        Ok(Registry::of_user()?.find(&self.name())?.client.status()?.checkpoints.completed)
    }

    /// Milliseconds from the start of the process to its first line of output.
    fn start_once(&self) -> Result<f64> {
        let checkpoints = self.folder.join("checkpoints");
        if checkpoints.exists() {
            fs::remove_dir_all(checkpoints)?;
        }
        let start = Instant::now();
        let mut job = self.spawn()?;
        let mut input = job.stdin.take().context("standard input is a pipe")?;
        input.write_all(b"1,k1,x\n")?;
        let mut line = String::new();
        BufReader::new(job.stdout.take().context("standard output is a pipe")?)
            .read_line(&mut line)?;
        let elapsed = start.elapsed();
        ensure!(line == "1\n", "the first line of output is {line:?}");
        drop(input);
        job.wait()?;
        Ok(elapsed.as_secs_f64() * 1000.0)
    }

    fn spawn(&self) -> Result<Child> {
        Command::new(&self.binary)
            .arg("run")
            .arg(self.folder.join("job.toml"))
            .args(["--restore", "none"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(self.folder.join("stderr"))?)
            .spawn()
            .context("cannot start tidegate; `cargo xtask bench` builds it")
    }

    fn name(&self) -> String {
        format!("latency-{}-{}", self.backend.word(), std::process::id())
    }

    fn job_file(&self) -> String {
        let component =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/last/last.wasm");
        let disk = match self.backend {
            Backend::Hashmap => "",
            Backend::Rocksdb => "memory = \"256MiB\"\ndirectory = \"state\"\n",
        };
        format!(
            r#"[job]
name = "{}"
parallelism = 2

[state]
backend = "{}"
{disk}
[checkpoint]
storage = "file://checkpoints"
interval = "1s"

[[source]]
id = "records"
connector = "stdin"
format = "csv"

[[operator]]
id = "last"
component = "{}"
inputs = [{{ from = "records", partition = {{ key = 1 }} }}]

[[sink]]
id = "out"
connector = "stdout"
from = "last"
"#,
            self.name(),
            self.backend.word(),
            component.display(),
        )
    }
}
