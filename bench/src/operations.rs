//! Each operation on state, on each backend, through the whole path of a batch: the generator, the
//! exchange by key, the state of the keys pushed, the guest, its effects applied.
//!
//! What a record costs with the operation less what it costs with none is the operation's own. The
//! runs of all operations take turns, so that a noisy hour touches all of them.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Records of a run.
const RECORDS: u64 = 2_000_000;

/// Distinct keys, some far more frequent than others.
const KEYS: u64 = 10_000;

/// Runs of each operation, of which the fastest counts.
const ROUNDS: usize = 3;

/// A component, how its input is partitioned, and its operations. The first is none.
struct Function {
    crate_name: &'static str,
    partition: &'static str,
    operations: &'static [&'static str],
}

const FUNCTIONS: [Function; 2] = [
    Function {
        crate_name: "operations",
        partition: "{ key = 0 }",
        operations: &[
            "nothing",
            "value-read",
            "value-update",
            "value-clear",
            "list-add",
            "list-get",
            "list-update",
            "map-put",
            "map-get",
            "map-remove",
            "map-iterate",
            "reducing-add",
            "aggregating-add",
            "timer-register",
            "timer-fire",
        ],
    },
    Function {
        crate_name: "partition-operations",
        partition: "\"forward\"",
        operations: &["nothing", "operator-list-get", "operator-list-update", "snapshot-state"],
    },
];

const BACKENDS: [&str; 2] = ["hashmap", "rocksdb"];

/// Runs all of them and prints a table. There is no bar.
pub fn run(target: &Path) -> Result<bool> {
    let folder = target.join("bench");
    std::fs::create_dir_all(&folder)?;
    println!("{RECORDS} records, {KEYS} keys, parallelism 1, ns a record (less `nothing`)");
    for function in &FUNCTIONS {
        let job = folder.join(format!("{}.toml", function.crate_name));
        std::fs::write(&job, job_file(function)?)?;
        println!("| operation | hashmap | rocksdb |\n|---|---|---|");
        function.measure(target, &job)?;
    }
    Ok(true)
}

impl Function {
    /// Prints a line for each operation.
    fn measure(&self, target: &Path, job: &Path) -> Result<()> {
        let mut fastest = vec![[f64::INFINITY; BACKENDS.len()]; self.operations.len()];
        for _ in 0..ROUNDS {
            for (operation, times) in self.operations.iter().zip(&mut fastest) {
                for (backend, time) in BACKENDS.iter().zip(times) {
                    *time = time.min(measure(target, job, operation, backend)?);
                }
            }
        }
        for (operation, times) in self.operations.iter().zip(&fastest) {
            let cells = times.iter().zip(&fastest[0]);
            let cells = cells.map(|(time, nothing)| format!("{time:.0} ({:+.0})", time - nothing));
            println!("| {operation} | {} |", cells.collect::<Vec<_>>().join(" | "));
        }
        Ok(())
    }
}

/// Nanoseconds a record.
fn measure(target: &Path, job: &Path, operation: &str, backend: &str) -> Result<f64> {
    let report = job.with_file_name("operations.json");
    let status = Command::new(target.join("tidegate"))
        .arg("run")
        .arg(job)
        .args(["--set", &format!("operator.run.params.operation={operation}")])
        .args(["--set", &format!("state.backend={backend}"), "--report"])
        .arg(&report)
        .stderr(Stdio::null())
        .status()
        .context("cannot start tidegate; run `cargo build --release -p tidegate`")?;
    ensure!(status.success(), "tidegate ended with {status}");
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report)?)?;
    let elapsed = report["elapsed_ms"].as_f64().context("the report has no time")?;
    Ok(elapsed * 1e6 / RECORDS as f64)
}

fn job_file(function: &Function) -> Result<String> {
    let Function { crate_name, partition, .. } = function;
    let file = format!("../tests/guests/{crate_name}/{}.wasm", crate_name.replace('-', "_"));
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    ensure!(component.exists(), "{crate_name} is not built; run `cargo xtask guests`");
    let component = component.display();
    Ok(format!(
        r#"[job]
name = "operations"
parallelism = 1

[state]
backend = "hashmap"

[[source]]
id = "clicks"
connector = "generator"
shape = "clicks"
count = {RECORDS}
keys = {KEYS}
timestamp = {{ field = 2 }}

[[operator]]
id = "run"
component = "{component}"
inputs = [{{ from = "clicks", partition = {partition} }}]

[[sink]]
id = "out"
connector = "discard"
from = "run"
"#
    ))
}
