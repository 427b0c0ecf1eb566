//! The command line: one file a command, all printing through `ui`.
//!
//! stdout carries the answer, stderr the story. Exit status: 0 done; 1 the input, the job or the
//! component is at fault; 2 usage; 3 a function faulted; 4 storage; 130 interrupted.

mod build;
mod cancel;
mod check;
mod checkpoints;
mod engine;
mod failure;
mod inspect;
mod new;
mod plan_tree;
mod progress;
mod replay;
mod run;
mod savepoint;
mod state;
mod status;
mod stop;
mod summary;
mod swap;
mod ui;

use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::job::{JobFile, Setting};
use crate::model::MAX_PARALLELISM_LIMIT;
use failure::Failure;
use ui::Ui;

/// Run WebAssembly functions as the operators of stateful streams
#[derive(Parser)]
#[command(name = "tidegate", version, max_term_width = 100)]
#[command(after_help = "Example:\n  \
    tidegate new hello --kind keyed && cd hello && tidegate build && tidegate run job.toml")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(new::Arguments),
    Build(build::Arguments),
    Inspect(inspect::Arguments),
    Check(check::Arguments),
    Run(run::Arguments),
    Replay(replay::Arguments),
    Checkpoints(checkpoints::Arguments),
    State(state::Arguments),
    Status(status::Arguments),
    Savepoint(savepoint::Arguments),
    Stop(stop::Arguments),
    Cancel(cancel::Arguments),
    Swap(swap::Arguments),
}

/// As clap wants it.
const PARTITIONS_MAX: i64 = MAX_PARALLELISM_LIMIT as i64;

/// Which job, and what is different this time.
#[derive(Args)]
struct JobArguments {
    /// The job file
    #[arg(value_name = "JOB.toml")]
    job: std::path::PathBuf,
    /// Partitions of each operator that sets no parallelism of its own, instead of job.parallelism
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=PARTITIONS_MAX))]
    parallelism: Option<u32>,
    /// Change a key of the job file for this once: job.name=x, source.ID.path=x,
    /// operator.ID.params.NAME=x, …
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl JobArguments {
    fn load(&self) -> Result<JobFile, Failure> {
        let settings: Result<Vec<Setting>, _> =
            self.set.iter().map(|text| Setting::parse(text)).collect();
        let mut settings = settings?;
        settings.extend(self.parallelism.map(Setting::parallelism));
        Ok(JobFile::load(&self.job, &settings)?)
    }
}

/// Runs the program: reads the arguments, runs the command, tells what failed.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ui = Ui::new();
    let done = match arguments.command {
        Command::New(arguments) => new::run(&arguments, &ui),
        Command::Build(arguments) => build::run(&arguments, &ui),
        Command::Inspect(arguments) => inspect::run(&arguments, &ui),
        Command::Check(arguments) => check::run(&arguments, &ui),
        Command::Run(arguments) => run::run(&arguments, &ui),
        Command::Replay(arguments) => replay::run(&arguments, &ui),
        Command::Checkpoints(arguments) => checkpoints::run(&arguments, &ui),
        Command::State(arguments) => state::run(&arguments, &ui),
        Command::Status(arguments) => status::run(&arguments, &ui),
        Command::Savepoint(arguments) => savepoint::run(&arguments, &ui),
        Command::Stop(arguments) => stop::run(&arguments, &ui),
        Command::Cancel(arguments) => cancel::run(&arguments, &ui),
        Command::Swap(arguments) => swap::run(&arguments, &ui),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            ui.failure(&failure);
            failure.exit_code()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_begins_with_an_imperative_and_ends_with_an_example() {
        for command in Arguments::command().get_subcommands().filter(|c| c.get_name() != "help") {
            let name = command.get_name();
            let about = command.get_about().expect(name).to_string();
            assert!(!about.ends_with('.'), "{name}: {about}");
            let after = command.get_after_help().expect(name).to_string();
            assert!(after.starts_with("Example"), "{name}: {after}");
        }
    }
}
