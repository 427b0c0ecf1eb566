//! A cell as a job of Flink: built by Maven, run by plain `java` with a local cluster.
//!
//! One process runs a job three times: over its input, which is what a user who starts a job sees;
//! over the first lines of it, which costs what any run costs, above all the wait for the last
//! checkpoint; and over its input again, with code that the virtual machine has compiled by then.
//! What counts is the third less the second: records, and nothing else. Where a run takes minutes,
//! compiling takes a hundredth of it, and the first counts in place of the third.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::cell::Cell;
use super::results::Figures;
use super::settings::{Settings, Watermarks};
use super::{in_repository, outputs};
use crate::events::DELAY_MS;

/// Runs of a process.
const RUNS: [&str; 3] = ["cold", "few", "warm"];

/// How few.
const FEW_LINES: usize = 1_000;

/// Packages of the virtual machine that Flink's serializers and memory look into.
const OPENED: [&str; 6] = [
    "java.base/java.lang=ALL-UNNAMED",
    "java.base/java.util=ALL-UNNAMED",
    "java.base/java.util.concurrent=ALL-UNNAMED",
    "java.base/java.nio=ALL-UNNAMED",
    "java.base/java.net=ALL-UNNAMED",
    "java.base/sun.nio.ch=ALL-UNNAMED",
];

/// The programs, built.
pub struct Flink {
    folder: PathBuf,
}

impl Flink {
    /// Builds the programs of `bench/flink` below `folder`.
    ///
    /// # Errors
    /// If there is no Maven, or it fails.
    pub fn build(folder: &Path) -> Result<Self> {
        let folder = folder.join("flink");
        eprintln!("building the Flink programs");
        let status = Command::new("mvn")
            .args(["--quiet", "--batch-mode", "package", "--file"])
            .arg(in_repository("flink/pom.xml"))
            .arg(format!("-Dbuild.folder={}", folder.display()))
            .status()
            .context("cannot start mvn; on Debian: apt-get install maven default-jdk-headless")?;
        ensure!(status.success(), "mvn ended with {status}");
        Ok(Self { folder })
    }

    /// Runs a cell.
    ///
    /// # Errors
    /// If it fails, with what it told.
    pub fn run(
        &self,
        cell: &Cell,
        inputs: &[PathBuf],
        folder: &Path,
        settings: &Settings,
    ) -> Result<(Figures, Vec<PathBuf>)> {
        let watermarks = match settings.watermarks {
            Watermarks::Periodic => "periodic",
            Watermarks::Each => "each",
        };
        let (runs, counted) = match cell.has_many_keys() {
            true => (&RUNS[..2], 0),
            false => (&RUNS[..], 2),
        };
        let (jar, libraries) = (self.folder.join("flink-bench.jar"), self.folder.join("lib"));
        let stderr = folder.join("stderr");
        let mut command = Command::new("java");
        command.arg(format!("-Xmx{}m", cell.heap_mib()));
        for package in OPENED {
            command.arg(format!("--add-opens={package}"));
        }
        command
            .arg("-cp")
            .arg(format!("{}:{}/*", jar.display(), libraries.display()))
            .arg("tidegate.bench.Bench")
            .args(["--job", cell.job.name, "--backend", cell.backend.word()])
            .args(["--parallelism", &cell.parallelism.to_string()])
            .args(["--memory", &format!("{}m", cell.budget_mib()), "--interval", "1s"])
            .args(["--runs", &runs.join(",")])
            .args(["--delay", &DELAY_MS.to_string(), "--watermarks", watermarks])
            .arg("--folder")
            .arg(folder);
        for (input, path) in cell.job.inputs.iter().zip(inputs) {
            let few = folder.join(format!("few-{}.csv", input.name()));
            write_few(path, &few)?;
            command.arg(format!("--{}", input.name())).arg(path);
            command.arg(format!("--few-{}", input.name())).arg(few);
        }
        let output = command
            .stderr(std::fs::File::create(&stderr)?)
            .output()
            .context("cannot start java; on Debian: apt-get install default-jdk-headless")?;
        let story = || std::fs::read_to_string(&stderr).unwrap_or_default();
        ensure!(output.status.success(), "java ended with {}:\n{}", output.status, story());
        let figures = figures(&String::from_utf8(output.stdout)?, runs.len(), counted)?;
        let files = outputs::files(&folder.join(runs[counted]).join("out"))?;
        Ok((figures, files))
    }
}

/// Writes the first lines of a file to another.
fn write_few(from: &Path, to: &Path) -> Result<()> {
    let mut text = String::new();
    for line in BufReader::new(File::open(from)?).lines().take(FEW_LINES) {
        text.push_str(&line?);
        text.push('\n');
    }
    Ok(std::fs::write(to, text)?)
}

/// Reads what the program told of its runs, one of which is counted.
fn figures(text: &str, runs: usize, counted: usize) -> Result<Figures> {
    let told: Vec<serde_json::Value> = text
        .lines()
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .context(text.to_owned())?;
    ensure!(told.len() == runs, "there were {} runs:\n{text}", told.len());
    let of = |run: usize, name: &str| {
        told[run][name].as_f64().with_context(|| format!("no {name} in:\n{text}"))
    };
    let cold = of(0, "started_ms")? + of(0, "wall_ms")?;
    Ok(Figures {
        seconds: (of(counted, "net_ms")? - of(1, "net_ms")?).max(1.0) / 1000.0,
        running_seconds: Some(of(counted, "net_ms")? / 1000.0),
        cold_seconds: Some(cold / 1000.0),
        // After the first run: a second one in the same process is nothing that a user has.
        memory_bytes: Some(of(0, "memory_kib")? as u64 * 1024),
    })
}
