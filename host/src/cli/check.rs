//! `tidegate check`: everything that can be wrong with a job, before anything runs.

use super::failure::Failure;
use super::ui::Ui;
use super::{JobArguments, engine, plan_tree};
use crate::job::check;

/// Check a job file, its files and its components, and show the plan
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate check job.toml\n  \
    tidegate check job.toml --parallelism 4 --set operator.pv.params.period=5s")]
pub struct Arguments {
    #[command(flatten)]
    job: JobArguments,
}

/// Checks the job, prints the plan.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let plan = check(arguments.job.load()?, &engine::start(ui)?)?;
    ui.warnings(&plan);
    ui.answer(plan_tree::render(&plan))
}
