//! Tidegate beside Apache Flink and beside hand-written loops: the same jobs on the same input
//! files in the same run, their outputs compared.
//!
//! ```text
//!   settings -> cells: job x backend x parallelism x keys x bytes
//!   a cell   -> rounds, in which the contenders take turns -> a row of comparison.json
//!   all rows -> the section of docs/benchmarks.md, and plots
//! ```
//!
//! Rows of earlier runs stay until their cell is measured again, so a run can be cut into parts.

mod bars;
mod cell;
mod document;
mod flink;
mod jobs;
mod loops;
mod outputs;
mod plot;
mod profile;
mod results;
mod settings;
mod tidegate;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

pub use cell::Backend;
use cell::{Cell, Contender};
use outputs::Fingerprint;
pub use profile::run as run_profile;
use results::{Figures, Row};
pub use results::{Latency, Results, Start};
use settings::Settings;

use crate::machine;

/// Where rows are kept and what is written, in the repository.
const DOCUMENT: &str = "../docs/benchmarks.md";
const FOLDER: &str = "../docs/benchmarks";

/// A path of the repository.
fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The rows so far.
pub fn kept() -> Result<Results> {
    Results::read(&in_repository(FOLDER).join("comparison.json"))
}

/// Keeps the rows and writes the section of the document and its plots.
pub fn keep(results: &Results) -> Result<()> {
    let folder = in_repository(FOLDER);
    std::fs::create_dir_all(&folder)?;
    results.write(&folder.join("comparison.json"))?;
    document::write(results, &in_repository(DOCUMENT), &folder)
}

/// Runs the cells that the arguments select. Whether all outputs were equal.
pub fn run(target: &Path, arguments: &[&str]) -> Result<bool> {
    let settings = Settings::parse(arguments)?;
    if settings.render_only {
        keep(&kept()?)?;
        return Ok(true);
    }
    let bench = Bench::new(target, settings)?;
    let mut results = kept()?;
    let cells = bench.settings.cells();
    println!("{} cells, {} round(s) each", cells.len(), bench.settings.rounds);
    println!("{}", Row::table_head());
    for (index, cell) in cells.iter().enumerate() {
        let row = bench.measure(cell)?;
        bench.drop_inputs(cell, cells.get(index + 1))?;
        println!("{}", row.table_line());
        if bench.settings.keeps {
            results.replace(row);
            keep(&results)?;
        }
    }
    Ok(true)
}

/// What all cells share.
struct Bench {
    settings: Settings,
    target: PathBuf,
    folder: PathBuf,
    flink: Option<flink::Flink>,
}

impl Bench {
    fn new(target: &Path, settings: Settings) -> Result<Self> {
        let folder = target.join("bench").join("comparison");
        std::fs::create_dir_all(folder.join("inputs"))?;
        let flink = match settings.contenders.contains(&Contender::Flink) {
            true => Some(flink::Flink::build(&folder)?),
            false => None,
        };
        Ok(Self { settings, target: target.to_owned(), folder, flink })
    }

    /// Runs the rounds of a cell.
    fn measure(&self, cell: &Cell) -> Result<Row> {
        let inputs = cell.make_inputs(&self.inputs())?;
        let load = machine::load()?;
        let mut rounds: Vec<Vec<Option<Figures>>> = Vec::new();
        let mut lines = 0;
        for _ in 0..self.settings.rounds {
            let mut found: Vec<(Contender, Fingerprint)> = Vec::new();
            let mut figures = Vec::new();
            for contender in Contender::ALL {
                let is_wanted = self.settings.contenders.contains(&contender);
                if !is_wanted {
                    figures.push(None);
                    continue;
                }
                let (figure, fingerprint) = self.run(contender, cell, &inputs)?;
                found.push((contender, fingerprint));
                figures.push(Some(figure));
            }
            lines = compare(cell, &found)?;
            rounds.push(figures);
        }
        Ok(Row::new(cell, load, lines, rounds, self.settings.watermarks))
    }

    fn inputs(&self) -> PathBuf {
        self.folder.join("inputs")
    }

    /// Removes the input files of a cell that the next one does not read: some have gigabytes.
    fn drop_inputs(&self, cell: &Cell, next: Option<&Cell>) -> Result<()> {
        let kept = next.map(|next| next.inputs(&self.inputs())).unwrap_or_default();
        for path in cell.inputs(&self.inputs()) {
            if !self.settings.keeps_inputs && !kept.contains(&path) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// Runs a contender in a folder of its own, which goes when its output has been read.
    fn run(
        &self,
        contender: Contender,
        cell: &Cell,
        inputs: &[PathBuf],
    ) -> Result<(Figures, Fingerprint)> {
        let folder = self.folder.join("run");
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        // What others have written is not to be waited for by this one.
        let synced = Command::new("sync").status().context("cannot start sync")?;
        ensure!(synced.success(), "sync ended with {synced}");
        let ran = match contender {
            Contender::Native => loops::run(cell, inputs, &folder),
            Contender::Engine => tidegate::run_engine(cell, inputs, &folder),
            Contender::Sandbox => tidegate::run(&self.target, cell, inputs, &folder),
            Contender::Flink => {
                let flink = self.flink.as_ref().context("Flink was not built")?;
                flink.run(cell, inputs, &folder, &self.settings)
            }
        };
        let place = || format!("{contender:?}, {cell}, in {}", folder.display());
        let (figures, files) = ran.with_context(place)?;
        let rule = cell.job.rule(self.settings.watermarks);
        let fingerprint = outputs::fingerprint(&files, rule)?;
        std::fs::remove_dir_all(&folder)?;
        Ok((figures, fingerprint))
    }
}

/// How many lines each of the outputs has, once they are known to say the same.
fn compare(cell: &Cell, found: &[(Contender, Fingerprint)]) -> Result<u64> {
    let Some((first, expected)) = found.first() else { return Ok(0) };
    for (contender, fingerprint) in &found[1..] {
        ensure!(
            fingerprint.says_the_same_as(expected),
            "{cell}: outputs differ: {expected:?} of {first:?}, {fingerprint:?} of {contender:?}"
        );
    }
    Ok(expected.lines)
}
