//! `tidegate run`: runs a job until its input ends or somebody stops it.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::ProgressBar;

use super::failure::{Failure, INTERRUPTED};
use super::progress::Progress;
use super::ui::Ui;
use super::{JobArguments, engine, summary};
use crate::checkpoint::catalog;
use crate::error::{Error, Result};
use crate::flow::{Metrics, StopFlag, StopReason};
use crate::job::control::{Control, Registry, Server};
use crate::job::plan::{Plan, SinkConnector};
use crate::job::{
    self, CodeChoice, Codes, Report, Requests, Restore, RunOptions, Status, check_with,
};
use crate::wasm::LogSink;

/// Run a job until its input ends
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate run job.toml\n  \
    tidegate run job.toml --parallelism 4 --set sink.out.path=elsewhere/ --report report.json\n  \
    tidegate run job.toml --restore latest\n  \
    tidegate run job.toml --capture faults/\n\n\
    Ctrl-C stops the job in good order, with a last checkpoint if it takes any; a second one ends \
    it at once.")]
pub struct Arguments {
    #[command(flatten)]
    job: JobArguments,
    /// What to go on from: the newest checkpoint or savepoint in the job's storage (its start if
    /// there is none), nothing, or the checkpoint or savepoint at a path
    #[arg(long, value_name = "latest|none|PATH")]
    restore: Option<String>,
    /// With --restore, which functions go on: those that the checkpoint belongs to, or those of the
    /// job file, if they can take over its state
    #[arg(long, value_name = "checkpoint|job", default_value = "checkpoint")]
    code: Code,
    /// Write each call at which a function faults to a file of this folder, for `tidegate replay`:
    /// the first 10 of each partition
    #[arg(long, value_name = "DIR")]
    capture: Option<PathBuf>,
    /// Write what was counted as JSON
    #[arg(long, value_name = "FILE.json")]
    report: Option<PathBuf>,
}

/// Which functions go on from a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Code {
    /// Those that it belongs to.
    Checkpoint,
    /// Those of the job file.
    Job,
}

/// Checks the job, runs it, tells what it did.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let restore = match arguments.restore.as_deref() {
        None => Restore::Unspecified,
        Some("none") => Restore::Nothing,
        Some("latest") => Restore::Latest,
        Some(path) => Restore::At(Box::new(catalog::locate(path)?)),
    };
    if let Some(path) = &arguments.report {
        check_report(path)?;
    }
    if let Some(folder) = &arguments.capture {
        make_capture_folder(folder)?;
    }
    let (file, engine) = (arguments.job.load()?, engine::start(ui)?);
    let codes = match (&restore, arguments.code) {
        (Restore::At(located), Code::Checkpoint) => job::codes_of(located, &engine)?,
        (Restore::Latest, Code::Checkpoint) => job::latest(&file)
            .and_then(|located| job::codes_of(&located, &engine).ok())
            .unwrap_or_default(),
        _ => Codes::new(),
    };
    let plan = check_with(file, &engine, &codes)?;
    ui.warnings(&plan);
    let code = match arguments.code {
        Code::Checkpoint => CodeChoice::Checkpoint,
        Code::Job => CodeChoice::Job,
    };
    let (report, outcome) = run_watched(&plan, (restore, code), arguments.capture.clone(), ui)?;
    let reported = arguments.report.as_ref().map_or(Ok(()), |path| write_report(path, &report));
    // What ended the job matters more than a report that could not be written.
    outcome?;
    reported?;
    ui.story(summary::render(&report, &plan));
    match report.status {
        Status::Stopped | Status::Cancelled => Err(Failure::Interrupted),
        // Nobody reads the output any more: that is how pipes end.
        Status::Finished | Status::OutputClosed | Status::Failed => Ok(()),
    }
}

/// Runs the job with its progress on the terminal and an ear for Ctrl-C.
fn run_watched(
    plan: &Plan,
    (restore, code): (Restore, CodeChoice),
    capture: Option<PathBuf>,
    ui: &Ui,
) -> Result<(Report, Result<()>)> {
    let metrics = Arc::new(Metrics::of(plan));
    // Output on the same terminal would tear the line.
    let tears = plan.sinks.iter().any(|sink| matches!(sink.connector, SinkConnector::Stdout))
        && io::stdout().is_terminal();
    let progress = Progress::start(ui, !tears, Arc::clone(&metrics));
    let stop = Arc::new(StopFlag::default());
    stop_on_interrupt(&stop, progress.bar(), *ui)?;
    let (bar, log_ui) = (progress.bar(), *ui);
    let log = LogSink::new(move |level, line| bar.suspend(|| log_ui.log(level, line)));
    let requests = Arc::new(Requests::new(&plan.name, Arc::clone(&metrics)));
    // Open as long as the job runs.
    let _server = serve(plan, &requests, ui);
    let options = RunOptions { stop, metrics, log, restore, code, capture, requests };
    Ok(job::run(plan, &options))
}

/// Opens the job's control socket. A job runs without one, too.
fn serve(plan: &Plan, requests: &Arc<Requests>, ui: &Ui) -> Option<Server> {
    let control: Arc<dyn Control> = requests.clone();
    let server = Registry::of_user()
        .and_then(|registry| Server::start(&registry, &plan.name, std::process::id(), control));
    server
        .inspect_err(|error| {
            let why = error.full_text();
            ui.warning(&format!("`tidegate status` and the like cannot reach this job: {why}"));
        })
        .ok()
}

/// The first interrupt asks the job to stop, the second one ends the process.
fn stop_on_interrupt(stop: &Arc<StopFlag>, bar: ProgressBar, ui: Ui) -> Result<()> {
    let stop = Arc::clone(stop);
    let asked = AtomicBool::new(false);
    let on_interrupt = move || {
        if asked.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
        stop.stop(StopReason::Asked);
        bar.suspend(|| ui.story("Stopping in good order; once more to end at once"));
    };
    ctrlc::set_handler(on_interrupt)
        .map_err(|cause| Error::input("cannot listen for Ctrl-C").caused_by(cause))
}

/// Makes the folder before the job runs, so that nothing is lost when a function faults.
fn make_capture_folder(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|cause| {
        let message = format!("cannot make the folder {} for captured calls", folder.display());
        Error::input(message).caused_by(cause)
    })
}

/// Refuses a place for the report before the job runs, not after.
fn check_report(path: &Path) -> Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if folder.is_none_or(Path::is_dir) && !path.is_dir() {
        return Ok(());
    }
    let message = format!("cannot write the report {}", path.display());
    Err(Error::input(message).hint("name a file in a folder that is there"))
}

fn write_report(path: &Path, report: &Report) -> Result<()> {
    let failed = |cause: io::Error| {
        Error::storage(format!("cannot write the report {}", path.display())).caused_by(cause)
    };
    let mut text = serde_json::to_string_pretty(report).map_err(|cause| failed(cause.into()))?;
    text.push('\n');
    std::fs::write(path, text).map_err(failed)
}
