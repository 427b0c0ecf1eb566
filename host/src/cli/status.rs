//! `tidegate status`: running jobs of this user, or one of them in detail.
//!
//! ```text
//! periodic-pv: running for 2 h 3 min as process 4711, 0 restarts
//!   source clicks  4,000,000 in  4,000,000 out  2,013/s
//!   operator pv    4,000,000 in    100,000 out  2,013/s
//!   sink out         100,000 in                    50/s
//! 12 checkpoints completed, 0 failed, 1 under way
//! The last is checkpoint 12: 3.2 MiB, took 140 ms, completed 5.0 s ago
//! ```

use std::thread;
use std::time::Duration;

use super::failure::Failure;
use super::progress::grouped;
use super::summary;
use super::ui::Ui;
use crate::checkpoint::manifest::Kind;
use crate::flow::NodeKind;
use crate::job::control::{FunctionStatus, JobStatus, Registry, RunningJob};
use crate::job::show_bytes;

/// Rates are of about this time.
const RATE_INTERVAL: Duration = Duration::from_millis(500);

/// Show the running jobs of this user, or one of them in detail
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate status\n  \
    tidegate status periodic-pv\n  \
    tidegate status periodic-pv --json")]
pub struct Arguments {
    /// The job's name, or NAME-PID where several have it
    #[arg(value_name = "JOB")]
    job: Option<String>,
    /// Print what the job says as JSON: one object, or a list of all jobs
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let registry = Registry::of_user()?;
    let Some(name) = &arguments.job else { return list(&registry.jobs()?, arguments.json, ui) };
    let client = registry.find(name)?.client;
    let status = client.status()?;
    if arguments.json {
        return ui.answer(format!("{:#}", serde_json::json!(status)));
    }
    // However long it takes: rates are counted by the job's own clock.
    thread::park_timeout(RATE_INTERVAL);
    let later = client.status()?;
    ui.answer(describe(&status, &later))
}

fn list(jobs: &[RunningJob], json: bool, ui: &Ui) -> Result<(), Failure> {
    let mut statuses = Vec::new();
    for job in jobs {
        match job.client.status() {
            Ok(status) => statuses.push(status),
            Err(error) => ui.warning(&format!("{} is left out: {error}", job.full_name())),
        }
    }
    if json {
        return ui.answer(format!("{:#}", serde_json::json!(statuses)));
    }
    if statuses.is_empty() {
        ui.story("No job of yours is running here.");
        return Ok(());
    }
    ui.answer(table(&statuses).join("\n"))
}

/// One line a job, in columns.
fn table(statuses: &[JobStatus]) -> Vec<String> {
    let row = |status: &JobStatus| {
        let sources = status.nodes.iter().filter(|node| node.kind == NodeKind::Source);
        let records: u64 = sources.map(|node| node.records_in).sum();
        [
            status.job.clone(),
            format!("process {}", status.pid),
            format!("{} for {}", status.state.name(), elapsed(status.uptime_ms)),
            format!("{} records read", grouped(records)),
            count(status.checkpoints.completed, "checkpoint"),
            count(status.restarts.into(), "restart"),
        ]
    };
    let rows: Vec<[String; 6]> = statuses.iter().map(row).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let show = |row: &[String; 6]| {
        let cell = |(column, text): (usize, &String)| {
            format!("{text:width$}", width = width(column).unwrap_or_default())
        };
        let cells: Vec<String> = row.iter().enumerate().map(cell).collect();
        cells.join("  ").trim_end().to_owned()
    };
    rows.iter().map(show).collect()
}

/// A job from two looks at it.
fn describe(earlier: &JobStatus, status: &JobStatus) -> String {
    let mut lines = vec![format!(
        "{}: {} for {} as process {}, {}",
        status.job,
        status.state.name(),
        elapsed(status.uptime_ms),
        status.pid,
        count(status.restarts.into(), "restart"),
    )];
    let nodes = summary::table(&status.nodes);
    let width = nodes.iter().map(|line| line.chars().count()).max().unwrap_or_default();
    let rates = rates(earlier, status);
    let rate_width = rates.iter().map(String::len).max().unwrap_or_default();
    for (line, rate) in nodes.iter().zip(&rates) {
        lines.push(format!("{line:width$}  {rate:>rate_width$}"));
    }
    let checkpoints = &status.checkpoints;
    lines.push(format!(
        "{} completed, {} failed, {} under way",
        count(checkpoints.completed, "checkpoint"),
        checkpoints.failed,
        checkpoints.in_progress,
    ));
    if let Some(last) = &checkpoints.last {
        let kind = match last.kind {
            Kind::Checkpoint => "checkpoint",
            Kind::Savepoint => "savepoint",
        };
        let now_ms = status.started_ms.saturating_add_unsigned(status.uptime_ms);
        lines.push(format!(
            "The last is {kind} {}: {}, took {}, completed {} ago",
            last.id,
            show_bytes(last.bytes),
            elapsed(last.duration_ms.unsigned_abs()),
            elapsed(u64::try_from(now_ms - last.completed_ms).unwrap_or_default()),
        ));
    }
    if let Some(id) = checkpoints.restored_from {
        lines.push(format!("It started from {id}"));
    }
    for FunctionStatus { operator, sha256, swap } in &status.functions {
        let swap = swap.as_ref().map(|swap| format!("; its last swap is {swap}"));
        lines.push(format!("{operator} runs {}{}", sha256.short(), swap.unwrap_or_default()));
    }
    lines.join("\n")
}

/// Records in a second of each node, between two looks.
fn rates(earlier: &JobStatus, status: &JobStatus) -> Vec<String> {
    let milliseconds = status.uptime_ms.saturating_sub(earlier.uptime_ms).max(1);
    let rate = |(before, now): (u64, u64)| {
        let records = now.saturating_sub(before);
        let rate = records as f64 * 1000.0 / milliseconds as f64;
        format!("{}/s", grouped(rate as u64))
    };
    let before = earlier.nodes.iter().map(|node| node.records_in);
    before.zip(status.nodes.iter().map(|node| node.records_in)).map(rate).collect()
}

/// A measured time, with as much of it as people want to know.
fn elapsed(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0 => format!("{milliseconds} ms"),
        1..60 => format!("{:.1} s", milliseconds as f64 / 1000.0),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

pub(super) fn count(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(count)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Completed;
    use crate::job::NodeReport;
    use crate::job::control::{CheckpointsStatus, JobState};

    fn status(job: &str, pid: u32, uptime_ms: u64, records: [u64; 2]) -> JobStatus {
        let node = |id: &str, kind, records_in: u64, records_out: u64| NodeReport {
            id: id.into(),
            kind,
            records_in,
            records_out,
            malformed: 0,
            faults: 0,
        };
        JobStatus {
            job: job.into(),
            pid,
            state: JobState::Running,
            started_ms: 1_000_000,
            uptime_ms,
            restarts: 1,
            nodes: vec![
                node("clicks", NodeKind::Source, records[0], records[1]),
                node("out", NodeKind::Sink, records[1], 0),
            ],
            functions: Vec::new(),
            checkpoints: CheckpointsStatus::default(),
        }
    }

    #[test]
    fn a_job_in_detail_has_rates_between_two_looks() {
        let mut later = status("pv", 7, 61_500, [4_000_000, 100_000]);
        later.checkpoints = CheckpointsStatus {
            completed: 12,
            failed: 1,
            in_progress: 1,
            last: Some(Completed {
                id: 14,
                kind: Kind::Checkpoint,
                completed_ms: 1_056_500,
                duration_ms: 140,
                bytes: 3 << 20,
            }),
            restored_from: Some(2),
        };
        assert_eq!(
            describe(&status("pv", 7, 61_000, [3_999_000, 99_980]), &later),
            "pv: running for 1 min 1 s as process 7, 1 restart\n  \
             source clicks  4,000,000 in  100,000 out  2,000/s\n  \
             sink out         100,000 in                  40/s\n\
             12 checkpoints completed, 1 failed, 1 under way\n\
             The last is checkpoint 14: 3.0 MiB, took 140 ms, completed 5.0 s ago\n\
             It started from 2"
        );
    }

    #[test]
    fn jobs_stand_in_columns() {
        let jobs = [status("pv", 12, 900, [3, 0]), status("alerts", 7, 7_200_000, [1_000, 0])];
        assert_eq!(
            table(&jobs),
            [
                "pv      process 12  running for 900 ms     3 records read      0 checkpoints  \
                 1 restart",
                "alerts  process 7   running for 2 h 0 min  1,000 records read  0 checkpoints  \
                 1 restart",
            ]
        );
    }

    #[test]
    fn times_are_as_exact_as_people_want() {
        let shown = [0, 999, 1_000, 59_999, 60_000, 3_599_999, 3_600_000, 90_061_000].map(elapsed);
        let expected = [
            "0 ms",
            "999 ms",
            "1.0 s",
            "60.0 s",
            "1 min 0 s",
            "59 min 59 s",
            "1 h 0 min",
            "1 d 1 h",
        ];
        assert_eq!(shown, expected);
    }
}
