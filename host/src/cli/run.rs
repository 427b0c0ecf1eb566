//! `tidegate run`: runs a job until its input ends or somebody stops it.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::progress::Progress;
use super::ui::Ui;
use super::{JobArguments, summary};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Metrics, StopFlag, StopReason};
use crate::job::plan::{Plan, SinkConnector};
use crate::job::{self, Report, RunOptions, Status, check};
use crate::wasm::{Engine, LogSink};

/// The status by which shells report an interrupt.
const INTERRUPTED: i32 = 130;

/// Run a job until its input ends
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate run job.toml\n  \
    tidegate run job.toml --parallelism 4 --set sink.out.path=/tmp/out --report report.json\n\n\
    Ctrl-C stops the job in good order; a second one ends it at once.")]
pub struct Arguments {
    #[command(flatten)]
    job: JobArguments,
    /// The state to begin with: latest, none or the path of a checkpoint. This version takes no checkpoints
    #[arg(
        long,
        value_name = "latest|none|PATH",
        default_value = "none",
        hide_default_value = true
    )]
    restore: String,
    /// Write what was counted as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

/// Checks the job, runs it, tells what it did.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    if arguments.restore != "none" {
        let message = "this version takes no checkpoints yet, so there is none to restore";
        return Err(Error::input(message).hint("leave --restore out").into());
    }
    let plan = check(arguments.job.load()?, &Engine::new()?)?;
    ui.warnings(&plan);
    let outputs = summary::outputs(&plan);
    let report = run_watched(plan, ui)?;
    ui.story(summary::render(&report, &outputs));
    if let Some(path) = &arguments.report {
        write_report(path, &report)?;
    }
    match report.status {
        // A reader that has seen enough, as `head`, is no error.
        Status::Finished | Status::OutputClosed => Ok(()),
        Status::Stopped => {
            Err(Error::new(ErrorKind::Interrupted, "the job was stopped before its input ended")
                .into())
        }
    }
}

/// Runs the job with its progress on the terminal and an ear for Ctrl-C.
fn run_watched(plan: Plan, ui: &Ui) -> Result<Report> {
    let stop = Arc::new(StopFlag::default());
    stop_on_interrupt(&stop, *ui)?;
    let metrics = Arc::new(Metrics::of(&plan));
    // Output on the same terminal would tear the line.
    let tears = plan.sinks.iter().any(|sink| matches!(sink.connector, SinkConnector::Stdout))
        && io::stdout().is_terminal();
    let progress = Progress::start(ui, !tears, Arc::clone(&metrics));
    let (bar, log_ui) = (progress.bar(), *ui);
    let log = LogSink::new(move |level, line| bar.suspend(|| log_ui.log(level, line)));
    job::run(&plan, &RunOptions { stop, metrics, log })
}

/// The first interrupt asks the job to stop, the second one ends the process.
fn stop_on_interrupt(stop: &Arc<StopFlag>, ui: Ui) -> Result<()> {
    let stop = Arc::clone(stop);
    let on_interrupt = move || {
        if stop.reason() == Some(StopReason::Asked) {
            std::process::exit(INTERRUPTED);
        }
        stop.stop(StopReason::Asked);
        ui.story("Stopping in good order; once more to end at once");
    };
    ctrlc::set_handler(on_interrupt)
        .map_err(|cause| Error::input("cannot listen for Ctrl-C").caused_by(cause))
}

fn write_report(path: &Path, report: &Report) -> Result<()> {
    let failed = |cause: io::Error| {
        Error::storage(format!("cannot write the report {}", path.display())).caused_by(cause)
    };
    let mut text = serde_json::to_string_pretty(report).map_err(|cause| failed(cause.into()))?;
    text.push('\n');
    std::fs::write(path, text).map_err(failed)
}
