//! `cargo xtask demo`: from a fresh clone to the output of a job on real input.

use crate::shell::{Outcome, run as run_command, say};
use crate::workspace::{Workspace, typed};
use crate::{guests, setup};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

/// How much of the output is shown.
const LINES_SHOWN: usize = 10;

/// Builds the host and two functions, then runs temp-alert over hourly readings of three weather
/// stations.
pub fn run(workspace: &Workspace) -> Outcome {
    setup::run()?;
    // The first impression does not wait ten minutes for the C++ of RocksDB.
    let small = "--package tidegate --no-default-features --features engine";
    let functions = ["examples/temp-alert".into(), "examples/periodic-pv".into()];
    guests::build(workspace, small, &functions)?;

    // The host refuses a folder that holds an earlier run's output.
    let output = workspace.target().join("demo");
    if output.exists() {
        fs::remove_dir_all(&output).map_err(|error| format!("{}: {error}", output.display()))?;
    }
    let mut set = std::ffi::OsString::from("sink.out.path=");
    set.push(output.join("temp-alert"));
    let mut job = workspace.command(workspace.binary("tidegate"));
    job.args(["run", "examples/temp-alert/job.toml", "--set"]).arg(set);
    say("running examples/temp-alert/job.toml over real temperatures");
    run_command(&mut job)?;

    let lines = show_first_lines(&output.join("temp-alert"))?;
    let host = typed(&workspace.binary("tidegate"));
    let next = typed(&workspace.root().join("examples/periodic-pv/job.toml"));
    println!("Its {lines} alerts (sensor,previous,current) are in {}", typed(&output));
    println!("Next, page views by user:  {host} run {next}");
    println!("Next, your own function:   {host} new my-function --kind keyed");
    Ok(())
}

/// Prints the first lines of a sink's folder and returns how many there are in all.
fn show_first_lines(folder: &Path) -> Outcome<usize> {
    let failure = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = folder.read_dir().map_err(failure)?.collect::<Result<Vec<_>, _>>();
    let mut files: Vec<PathBuf> = entries.map_err(failure)?.iter().map(|e| e.path()).collect();
    files.sort();
    let mut count = 0;
    println!();
    for file in files.iter().filter(|path| path.is_file()) {
        for line in BufReader::new(File::open(file).map_err(failure)?).lines() {
            let line = line.map_err(failure)?;
            if count < LINES_SHOWN {
                println!("    {line}");
            }
            count += 1;
        }
    }
    if count > LINES_SHOWN {
        println!("    … and {} more", count - LINES_SHOWN);
    }
    println!();
    Ok(count)
}
