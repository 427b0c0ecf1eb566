//! Where the time of a record goes, from a sampling profiler over the whole process.
//!
//! Symbols tell what the host does; what runs in memory of no file is the compiled function. Each
//! sample stands for the processor time between two of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::bars::HELD;
use super::cell::{Backend, Cell};
use super::document::{BYTES, KEYS};
use super::jobs::Job;
use super::tidegate;
use crate::events;

/// Samples a second.
const FREQUENCY: &str = "1999";

/// Where the time goes, in the order of a record's way.
const PLACES: [&str; 8] = [
    "read",
    "parse",
    "route",
    "state",
    "timers and order",
    "guest",
    "into and out of the guest",
    "write",
];

/// Everything else: start, checkpoints, waiting.
const OTHER: &str = "other";

/// Stands for the thread of the source, which has the name of the job's input.
const SOURCE: &str = "source";

/// Profiles the jobs and prints a table, in nanoseconds of processor time a record.
pub fn run(target: &Path) -> Result<bool> {
    let folder = target.join("bench").join("profile");
    println!("| job | {} | {OTHER} | together |", PLACES.join(" | "));
    println!("|---|{}---|---|", "---|".repeat(PLACES.len()));
    for name in HELD {
        let job = Job::find(name).context("the jobs are known")?;
        let settings = events::Settings { events: 4_000_000, keys: KEYS, bytes: BYTES };
        let cell = Cell { job, backend: Backend::Hashmap, parallelism: 2, settings };
        let found = profile(target, &cell, &folder)?;
        let nanos = |place: &str| format!("{:.0}", found.get(place).copied().unwrap_or_default());
        let cells: Vec<String> = PLACES.iter().map(|place| nanos(place)).collect();
        let together: f64 = found.values().sum();
        println!("| {name} | {} | {} | {together:.0} |", cells.join(" | "), nanos(OTHER));
    }
    Ok(true)
}

/// Nanoseconds of processor time a record, by place.
fn profile(target: &Path, cell: &Cell, folder: &Path) -> Result<BTreeMap<&'static str, f64>> {
    if folder.exists() {
        std::fs::remove_dir_all(folder)?;
    }
    std::fs::create_dir_all(folder)?;
    let inputs = cell.make_inputs(folder)?;
    let samples = folder.join("samples");
    let mut perf = Command::new("perf");
    perf.args(["record", "--quiet", "--freq", FREQUENCY, "--event", "task-clock", "--output"]);
    perf.arg(&samples).arg("--").arg(target.join("tidegate")).arg("run");
    tidegate::run_command(perf, cell, &inputs, folder)
        .context("perf is needed: on Debian, apt-get install linux-perf")?;
    let script = Command::new("perf")
        .args(["script", "--fields", "comm,period,ip,sym,dso", "--input"])
        .arg(&samples)
        .output()?;
    ensure!(script.status.success(), "{}", String::from_utf8_lossy(&script.stderr));
    let mut found = BTreeMap::new();
    for line in String::from_utf8_lossy(&script.stdout).lines() {
        if let Some((place, nanos)) = sample(line, cell.job.inputs[0].name()) {
            *found.entry(place).or_insert(0.0) += nanos / cell.settings.events as f64;
        }
    }
    std::fs::remove_dir_all(folder)?;
    Ok(found)
}

/// Reads `thread  nanoseconds  address symbol (file)`.
fn sample(line: &str, source: &str) -> Option<(&'static str, f64)> {
    let (rest, file) = line.trim().rsplit_once(" (")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let period = words.iter().position(|word| word.parse::<u64>().is_ok())?;
    let (thread, nanos) = (words[..period].join(" "), words[period].parse().ok()?);
    let symbol = words.get(period + 2..)?.join(" ");
    let thread = if thread == source { SOURCE } else { &thread };
    Some((place(thread, &symbol, file.trim_end_matches(')')), nanos))
}

fn place(thread: &str, symbol: &str, file: &str) -> &'static str {
    let is = |names: &[&str]| names.iter().any(|name| symbol.contains(name));
    let is_guest = file.contains("JIT") || file.starts_with("//anon") || symbol == "[unknown]";
    let is_kernel = file.contains("kernel");
    match thread {
        SOURCE if is_kernel || is(&["connectors", "memchr", "SourceTask"]) => "read",
        SOURCE if is(&["fields", "from_utf8", "source_times"]) => "parse",
        SOURCE => "route",
        _ if !thread.starts_with("op") || thread.ends_with("writer") => OTHER,
        _ if is_kernel || is(&["::sink::", "outlet"]) => "write",
        _ if is_guest => "guest",
        _ if is(&["::timers::", "operator::", "sort"]) => "timers and order",
        _ if is(&["wasmtime", "tidegate::wasm"]) => "into and out of the guest",
        // What is left are instances of generic code, nearly all of them in the two passes over
        // state, before and after a call, and allocation and copying in their service.
        _ => "state",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_have_a_place() {
        let place = |line| sample(line, "in").map(|sample| sample.0);
        let line = "op/0   500250   55d tidegate::state::column::Column::read (/x/tidegate)";
        assert_eq!(sample(line, "in"), Some(("state", 500_250.0)));
        assert_eq!(place("op/1  500250  7f8 [unknown] ([JIT] tid 12)"), Some("guest"));
        assert_eq!(place("op/1 writer  500250  7f8 memcpy (/lib/libc.so.6)"), Some(OTHER));
        assert_eq!(place("in 7 55d memcpy (/lib/libc.so.6)"), Some("route"));
        assert_eq!(sample("", "in"), None);
    }
}
