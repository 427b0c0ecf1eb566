//! A cell as a job of Tidegate: the release binary as a process of its own.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::cell::{Backend, Cell};
use super::in_repository;
use super::outputs;
use super::results::Figures;
use crate::events::DELAY_MS;

/// What a contender came to, and the files that it wrote.
pub type Ran = (Figures, Vec<PathBuf>);

/// Runs a cell with its functions as components.
pub fn run(target: &Path, cell: &Cell, inputs: &[PathBuf], folder: &Path) -> Result<Ran> {
    let mut command = Command::new(target.join("tidegate"));
    command.arg("run");
    run_command(command, cell, inputs, folder)
}

/// Runs a cell with its functions compiled into this program, which is started once more.
pub fn run_engine(cell: &Cell, inputs: &[PathBuf], folder: &Path) -> Result<Ran> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("engine");
    run_command(command, cell, inputs, folder)
}

/// Runs `command` on the job file of a cell.
pub fn run_command(
    mut command: Command,
    cell: &Cell,
    inputs: &[PathBuf],
    folder: &Path,
) -> Result<Ran> {
    let job = folder.join("job.toml");
    std::fs::write(&job, job_file(cell, inputs)?)?;
    std::fs::create_dir_all(folder.join("state"))?;
    let report = folder.join("report.json");
    let stderr = folder.join("stderr");
    let start = Instant::now();
    let status = command
        .arg(&job)
        .arg("--report")
        .arg(&report)
        .stderr(std::fs::File::create(&stderr)?)
        .status()
        .context("cannot start tidegate; `cargo xtask bench` builds it")?;
    let seconds = start.elapsed().as_secs_f64();
    let story = || std::fs::read_to_string(&stderr).unwrap_or_default();
    ensure!(status.success(), "tidegate ended with {status}:\n{}", story());
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let memory_bytes =
        report["peak_memory_bytes"].as_u64().context("the report has no peak memory")?;
    let elapsed = report["elapsed_ms"].as_f64().context("the report has no time")?;
    let figures = Figures {
        seconds,
        running_seconds: Some(elapsed / 1000.0),
        memory_bytes: Some(memory_bytes),
        ..Figures::default()
    };
    Ok((figures, outputs::files(&folder.join("out"))?))
}

/// The component of a function crate.
fn component(folder: &str) -> Result<PathBuf> {
    let name = folder.rsplit('/').next().unwrap_or(folder).replace('-', "_");
    let path = in_repository(&format!("../{folder}/{name}.wasm"));
    ensure!(path.exists(), "{} is not built; run `cargo xtask guests`", path.display());
    Ok(path)
}

fn job_file(cell: &Cell, inputs: &[PathBuf]) -> Result<String> {
    let (name, parallelism) = (cell.job.name, cell.parallelism);
    let backend = cell.backend.word();
    let mut text = format!(
        "[job]\nname = \"bench-{name}\"\nparallelism = {parallelism}\n\n\
         [state]\nbackend = \"{backend}\"\n"
    );
    if cell.backend == Backend::Rocksdb {
        writeln!(text, "memory = \"{}MiB\"\ndirectory = \"state\"", cell.budget_mib())?;
    }
    text += "\n[checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"1s\"\n";
    for (input, path) in cell.job.inputs.iter().zip(inputs) {
        let (id, (field, unit), path) = (input.name(), input.time(), path.display());
        write!(
            text,
            "\n[[source]]\nid = \"{id}\"\nconnector = \"file\"\npath = \"{path}\"\n\
             format = \"csv\"\ntimestamp = {{ field = {field}, unit = \"{unit}\" }}\n\
             watermark = {{ strategy = \"bounded-out-of-orderness\", delay = \"{DELAY_MS}ms\" }}\n"
        )?;
    }
    for (index, operator) in cell.job.operators.iter().enumerate() {
        let input = |(from, partition): &(&str, &str)| {
            let previous = format!("operator-{}", index.wrapping_sub(1));
            let from = if *from == "previous" { &previous } else { *from };
            format!("{{ from = \"{from}\", partition = {partition} }}")
        };
        let inputs: Vec<String> = operator.inputs.iter().map(input).collect();
        write!(
            text,
            "\n[[operator]]\nid = \"operator-{index}\"\ncomponent = \"{}\"\ninputs = [{}]\n",
            component(operator.folder)?.display(),
            inputs.join(", ")
        )?;
    }
    let last = cell.job.operators.len() - 1;
    write!(
        text,
        "\n[[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"operator-{last}\"\n\
         path = \"out/\"\n"
    )?;
    Ok(text)
}
