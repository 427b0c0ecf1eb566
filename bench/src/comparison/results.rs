//! What was measured, as data that is kept in the repository.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::cell::{Backend, Cell, Contender};
use super::settings::Watermarks;
use crate::machine::Machine;

/// Everything that was measured and not been measured again since.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Results {
    /// Where the newest row was measured.
    pub machine: Machine,
    /// A row a cell.
    pub rows: Vec<Row>,
    /// From the benchmark `latency`.
    #[serde(default)]
    pub latencies: Vec<Latency>,
    /// From the benchmark `start`.
    #[serde(default)]
    pub start: Option<Start>,
}

/// What a run of a contender came to.
#[derive(Debug, Default, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// What counts: of Tidegate the whole process; of Flink the job's own runtime in a virtual
    /// machine that has run it before, less that over a few records; of the loop the loop.
    pub seconds: f64,
    /// From the start of the job; of Flink the runtime with nothing taken off.
    pub running_seconds: Option<f64>,
    /// Of Flink, the whole of a fresh process with one run.
    pub cold_seconds: Option<f64>,
    /// The most resident memory.
    pub memory_bytes: Option<u64>,
}

/// What a cell came to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub job: String,
    pub backend: Backend,
    pub parallelism: u32,
    pub keys: u64,
    pub bytes: usize,
    /// Records that the job read.
    pub records: u64,
    /// Lines that the first contender wrote.
    pub lines: u64,
    /// Rounds, of which each figure is the median.
    pub rounds: usize,
    /// Flink's watermarks.
    pub watermarks: Watermarks,
    /// Runnable tasks of the machine, averaged over the minute before; what others did.
    pub load: f64,
    pub native: Option<Figures>,
    pub engine: Option<Figures>,
    pub sandbox: Option<Figures>,
    pub flink: Option<Figures>,
}

/// Latencies of one job at one rate, in milliseconds from when a record was due.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub backend: Backend,
    /// Records a second that the job takes.
    pub capacity: u64,
    /// The share of it that was sent, in percent.
    pub percent: u64,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub highest: f64,
    /// Checkpoints meanwhile.
    pub checkpoints: u64,
}

/// From the start of a process to the first line of output, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Start {
    /// The first time.
    pub first: f64,
    /// The median of all others.
    pub median: f64,
    pub runs: usize,
}

impl Results {
    /// Reads what is kept; nothing if there is no file.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read(path: &Path) -> Result<Self> {
        if !path.exists() {
            return Ok(Self::default());
        }
        let text = std::fs::read(path)?;
        serde_json::from_slice(&text).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Writes all.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Notes that something was measured on this machine, with this commit.
    pub fn mark_as_of_here(&mut self) {
        self.machine = Machine::here();
    }

    /// Puts a row in the place of the one of the same cell.
    pub fn replace(&mut self, row: Row) {
        self.mark_as_of_here();
        match self.rows.iter_mut().find(|known| known.cell() == row.cell()) {
            Some(known) => *known = row,
            None => self.rows.push(row),
        }
    }

    /// The row of a cell.
    pub fn row(
        &self,
        job: &str,
        backend: Backend,
        parallelism: u32,
        keys: u64,
        bytes: usize,
    ) -> Option<&Row> {
        self.rows.iter().find(|row| row.cell() == (job, backend.word(), parallelism, keys, bytes))
    }
}

impl Row {
    /// The medians of the rounds, each of which has a figure a contender.
    pub fn new(
        cell: &Cell,
        load: f64,
        lines: u64,
        rounds: Vec<Vec<Option<Figures>>>,
        watermarks: Watermarks,
    ) -> Self {
        let median = |contender: Contender| {
            let place = Contender::ALL.iter().position(|one| *one == contender)?;
            let mut figures: Vec<Figures> =
                rounds.iter().filter_map(|round| round[place]).collect();
            figures.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
            figures.get(figures.len() / 2).copied()
        };
        let records = cell.job.inputs.iter().map(|input| input.records(cell.settings.events)).sum();
        Self {
            job: cell.job.name.into(),
            backend: cell.backend,
            parallelism: cell.parallelism,
            keys: cell.settings.keys,
            bytes: cell.settings.bytes,
            records,
            lines,
            rounds: rounds.len(),
            watermarks,
            load,
            native: median(Contender::Native),
            engine: median(Contender::Engine),
            sandbox: median(Contender::Sandbox),
            flink: median(Contender::Flink),
        }
    }

    fn cell(&self) -> (&str, &str, u32, u64, usize) {
        (&self.job, self.backend.word(), self.parallelism, self.keys, self.bytes)
    }

    /// Records a second of a contender, in thousands.
    pub fn rate(&self, figures: Option<Figures>) -> Option<f64> {
        figures.map(|figures| self.records as f64 / figures.seconds / 1000.0)
    }

    /// How many times as long as Tidegate Flink takes.
    pub fn over_flink(&self) -> Option<f64> {
        Some(self.flink?.seconds / self.sandbox?.seconds)
    }

    /// Tidegate's rate as a share of the loop's.
    pub fn of_native(&self) -> Option<f64> {
        Some(self.native?.seconds / self.sandbox?.seconds)
    }

    /// By which share the sandbox takes longer than the engine alone.
    pub fn sandbox_cost(&self) -> Option<f64> {
        Some(self.sandbox?.seconds / self.engine?.seconds - 1.0)
    }

    /// Tidegate's peak memory as a share of Flink's.
    pub fn of_flink_memory(&self) -> Option<f64> {
        Some(self.sandbox?.memory_bytes? as f64 / self.flink?.memory_bytes? as f64)
    }

    /// The head of a table of rows.
    pub fn table_head() -> String {
        let names = [
            "job",
            "backend",
            "p",
            "keys",
            "bytes",
            "native k/s",
            "engine k/s",
            "tidegate k/s",
            "Flink k/s",
            "Flink cold k/s",
            "x Flink",
            "of native",
            "sandbox",
            "MB",
            "Flink MB",
            "load",
        ];
        format!("| {} |\n|{}", names.join(" | "), "---|".repeat(names.len()))
    }

    /// The row in such a table.
    pub fn table_line(&self) -> String {
        let rate = |figures| self.rate(figures).map_or("–".into(), |rate| format!("{rate:.0}"));
        let cold = self.flink.and_then(|flink| flink.cold_seconds);
        let cold = cold.map(|seconds| Figures { seconds, ..Figures::default() });
        let megabytes = |figures: Option<Figures>| {
            let bytes = figures.and_then(|figures| figures.memory_bytes);
            bytes.map_or("–".into(), |bytes| (bytes / 1_000_000).to_string())
        };
        let times = |value: Option<f64>| value.map_or("–".into(), |value| format!("{value:.2}"));
        let cost = self.sandbox_cost().map(|cost| format!("{:+.0} %", cost * 100.0));
        let cells = [
            self.job.clone(),
            self.backend.word().into(),
            self.parallelism.to_string(),
            self.keys.to_string(),
            self.bytes.to_string(),
            rate(self.native),
            rate(self.engine),
            rate(self.sandbox),
            rate(self.flink),
            rate(cold),
            times(self.over_flink()),
            times(self.of_native()),
            cost.unwrap_or("–".into()),
            megabytes(self.sandbox),
            megabytes(self.flink),
            format!("{:.1}", self.load),
        ];
        format!("| {} |", cells.join(" | "))
    }
}
