//! `tidegate stop`: asks a running job to end in good order.

use super::failure::Failure;
use super::savepoint::absolute;
use super::ui::Ui;
use crate::job::control::{Registry, Request};

/// Stop a running job in good order, with a savepoint if wanted
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate stop periodic-pv\n  \
    tidegate stop periodic-pv --savepoint\n  \
    tidegate stop periodic-pv --savepoint file:///backup/periodic-pv\n\n\
    What the job has read is processed and its output committed. `tidegate run JOB.toml\n\
    --restore latest` goes on from there.")]
pub struct Arguments {
    /// The job's name, or NAME-PID where several have it
    #[arg(value_name = "JOB")]
    job: String,
    /// Take a savepoint at the end and print where it is. Default: below the job's checkpoint
    /// storage
    #[arg(long, value_name = "PATH")]
    savepoint: Option<Option<String>>,
}

/// Asks, waits, prints.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let place = |path: &Option<String>| path.as_deref().map(absolute).transpose();
    let savepoint = arguments.savepoint.as_ref().map(place).transpose()?;
    let job = Registry::of_user()?.find(&arguments.job)?;
    let answer = job.client.request(&Request::Stop { savepoint })?;
    ui.story(format!("{} has stopped.", job.full_name()));
    answer.savepoint.map_or(Ok(()), |place| ui.answer(place))
}
