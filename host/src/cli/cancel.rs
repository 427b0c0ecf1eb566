//! `tidegate cancel`: ends a running job at once.

use super::failure::Failure;
use super::ui::Ui;
use crate::job::control::{Registry, Request};

/// End a running job at once, without another checkpoint
#[derive(clap::Args)]
#[command(after_help = "Example:\n  tidegate cancel periodic-pv\n\n\
    Output since the last checkpoint is lost. Checkpoints stay unless the job file says\n\
    `retain = \"never\"`. `tidegate stop` ends a job in good order.")]
pub struct Arguments {
    /// The job's name, or NAME-PID where several have it
    #[arg(value_name = "JOB")]
    job: String,
}

/// Asks and waits.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let job = Registry::of_user()?.find(&arguments.job)?;
    job.client.request(&Request::Cancel)?;
    ui.story(format!("{} is cancelled.", job.full_name()));
    Ok(())
}
