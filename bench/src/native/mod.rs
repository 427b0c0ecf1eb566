//! The limit: what hand-written, single-threaded Rust loops do with the same files. No engine, no
//! sandbox, no recovery, no checks beyond what a job needs. Where results depend on watermarks,
//! theirs are those of the jobs: after each record the highest event time less the delay.

mod count;
mod joins;
mod lines;
mod simple;
mod windows;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::{Context, Result};

pub use count::count_per_key;
pub use joins::{q3, q4, q8};
pub use simple::{alert, map, q0, q12, q18};
pub use windows::{pv, q5, q7, q11, window};

/// A loop: reads the inputs of a job in their order and writes its output.
pub type Loop = fn(&[&Path], &Path) -> Result<()>;

type Out = BufWriter<File>;

fn create(path: &Path) -> Result<Out> {
    let file = File::create(path).with_context(|| format!("cannot make {}", path.display()))?;
    Ok(BufWriter::with_capacity(256 << 10, file))
}

/// Makes sure that what was written is on disk, as the other contenders do.
fn close(out: Out) -> Result<()> {
    Ok(out.into_inner()?.sync_all()?)
}

/// Counts the records of each key, as [`count_per_key`].
pub fn count(inputs: &[&Path], output: &Path) -> Result<()> {
    count_per_key(inputs[0], output).map(drop)
}
