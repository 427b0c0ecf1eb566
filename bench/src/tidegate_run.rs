//! The same work as a job: the release binary, a component, parallelism 2.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// What a run came to.
pub struct Run {
    /// The files that the sink wrote.
    pub outputs: Vec<PathBuf>,
    /// The most memory that the process used.
    pub memory_bytes: u64,
}

/// Runs the count job with the binary in `target` over `events`, with its files in `folder`.
pub fn run(target: &Path, folder: &Path, events: &Path) -> Result<Run> {
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/guests/count/count.wasm");
    ensure!(component.exists(), "count.wasm is not built; run `cargo xtask guests`");
    let job = folder.join("count.toml");
    std::fs::write(&job, job_file(events, &component))?;
    let report = folder.join("report.json");
    let status = Command::new(target.join("tidegate"))
        .arg("run")
        .arg(&job)
        .arg("--report")
        .arg(&report)
        .stderr(Stdio::null())
        .status()
        .context("cannot start tidegate; run `cargo build --release -p tidegate`")?;
    ensure!(status.success(), "tidegate ended with {status}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let memory_bytes =
        report["peak_memory_bytes"].as_u64().context("the report has no peak memory")?;
    let outputs = (0..2).map(|partition| folder.join(format!("out/part-{partition}"))).collect();
    Ok(Run { outputs, memory_bytes })
}

fn job_file(events: &Path, component: &Path) -> String {
    let (events, component) = (events.display(), component.display());
    format!(
        r#"[job]
name = "count"
parallelism = 2

[[source]]
id = "events"
connector = "file"
path = "{events}"
format = "csv"
timestamp = {{ field = 2 }}

[[operator]]
id = "count"
component = "{component}"
inputs = [{{ from = "events", partition = {{ key = 0 }} }}]

[[sink]]
id = "out"
connector = "file"
from = "count"
path = "out/"
"#
    )
}
