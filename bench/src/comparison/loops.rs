//! The hand-written loop as a contender: runs in this process, on one thread.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;

use super::cell::Cell;
use super::results::Figures;

/// Runs the loop of a cell.
pub fn run(cell: &Cell, inputs: &[PathBuf], folder: &Path) -> Result<(Figures, Vec<PathBuf>)> {
    let output = folder.join("native.csv");
    let inputs: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
    let start = Instant::now();
    (cell.job.run)(&inputs, &output)?;
    let seconds = start.elapsed().as_secs_f64();
    Ok((Figures { seconds, ..Figures::default() }, vec![output]))
}
