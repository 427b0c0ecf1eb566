//! Measures the release binary from outside.
//!
//!     cargo xtask bench             count per key, beside a native loop
//!     cargo xtask bench comparison  fourteen jobs beside loops and Apache Flink
//!     cargo xtask bench latency     from source to sink, at shares of the capacity
//!     cargo xtask bench start       from the start of a job to its first output
//!     cargo xtask bench profile     where the time of a record goes, by a sampling profiler
//!     cargo xtask bench operations  each operation on state, on each backend
//!     cargo xtask bench recovery    checkpoints and restores of 1 GB of keyed state
//!     cargo xtask bench swaps       a hundred swaps in a row, under load
//!
//! The run fails if a bar is missed, or if the outputs of contenders differ.

mod comparison;
mod engine;
mod events;
mod input;
mod latency;
mod machine;
mod native;
mod open_loop;
mod operations;
mod probes;
mod recovery;
mod swaps;
mod throughput;
mod tidegate_run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

fn main() -> Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let target = target_dir()?;
    let met = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => throughput::run(&target)?,
        ["comparison", ref options @ ..] => comparison::run(&target, options)?,
        // For `comparison`, which starts this program once more.
        ["engine", job, "--report", report] => engine::run(Path::new(job), Path::new(report))?,
        ["latency", ref options @ ..] => latency::run(&target, options)?,
        ["start"] => latency::run_start(&target)?,
        ["profile"] => comparison::run_profile(&target)?,
        ["operations"] => operations::run(&target)?,
        ["recovery"] => recovery::run(&target)?,
        ["swaps"] => swaps::run(&target)?,
        _ => bail!("unknown: {}; `cargo xtask` lists the benchmarks", arguments.join(" ")),
    };
    if !met {
        println!("a bar is missed");
    }
    Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The target directory that this binary lies in.
fn target_dir() -> Result<PathBuf> {
    let binary = std::env::current_exe()?;
    let folder = binary.parent().context("a binary lies in a folder")?;
    Ok(folder.to_owned())
}
