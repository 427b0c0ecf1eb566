//! `cargo xtask test`: everything CI checks, in steps, quick refusals first.
//!
//! It stops at the first failure with the command that runs that step alone, and ends with the
//! steps' seconds and the sum of all test results.

mod counts;

use crate::shell::{Outcome, run as run_command, say};
use crate::workspace::Workspace;
use crate::{guests, setup};
use counts::Counts;
use std::time::{Duration, Instant};

/// One check that can also be run alone.
struct Step {
    name: &'static str,
    about: &'static str,
    /// Steps whose products this one uses; they run before it when it is asked for alone.
    needs: &'static [&'static str],
    action: Action,
}

enum Action {
    /// The host and all components.
    BuildGuests,
    /// Cargo with these arguments.
    Cargo(&'static str),
    /// Cargo with these arguments, which runs tests whose results are counted.
    CargoTest(&'static str),
}

/// The step whose tests need servers.
const SUITE: &str = "suite";

// IMPORTANT: everything is built with --release and for the whole workspace, so that the steps
// (and the user's own runs) share compiled dependencies: another profile, or another selection of
// packages with other features, would compile wasmtime again.
const STEPS: &[Step] = &[
    Step {
        name: "fmt",
        about: "the code is formatted",
        needs: &[],
        action: Action::Cargo("fmt --all --check"),
    },
    Step {
        name: "clippy",
        about: "no warning of compiler or clippy",
        needs: &[],
        action: Action::Cargo("clippy --release --workspace --all-targets -- -D warnings"),
    },
    Step {
        name: "docs",
        about: "the documentation builds without a warning",
        needs: &[],
        action: Action::Cargo("doc --release --workspace --no-deps"),
    },
    Step {
        name: "embed",
        about: "the wasm embedding builds without the dataflow and the command line",
        needs: &[],
        action: Action::Cargo("check --release --package tidegate --no-default-features --lib"),
    },
    Step {
        name: "guests",
        about: "the host, and every component of examples/, tests/guests/ and bench/guests/, build",
        needs: &[],
        action: Action::BuildGuests,
    },
    Step {
        name: "unit",
        about: "the tests beside the code",
        needs: &[],
        action: Action::CargoTest("test --release --workspace --lib --bins --examples"),
    },
    Step {
        name: "doctest",
        about: "the examples in the documentation",
        needs: &[],
        action: Action::CargoTest("test --release --workspace --doc"),
    },
    Step {
        name: SUITE,
        about: "the promises: tests/suite, with the real binary and the examples' jobs",
        needs: &["guests"],
        action: Action::CargoTest("test --release --workspace --test *"),
    },
];

/// The steps, for the help text.
pub fn steps_help() -> String {
    let lines = STEPS.iter().map(|step| format!("  {:<9} {}\n", step.name, step.about));
    format!("Steps of test:\n\n{}", lines.collect::<String>())
}

/// Whether all of these are names of steps.
pub fn are_steps(names: &[&str]) -> bool {
    names.iter().all(|name| STEPS.iter().any(|step| step.name == *name))
}

/// Runs the named steps with what they need, or all steps if none is named.
pub fn run(workspace: &Workspace, names: &[&str]) -> Outcome {
    setup::run()?;
    if names.is_empty() || names.contains(&SUITE) {
        setup::kafka::fetch_for_tests(workspace);
    }
    let is_asked = |step: &Step| names.is_empty() || names.contains(&step.name);
    let is_needed = |name: &str| STEPS.iter().any(|s| is_asked(s) && s.needs.contains(&name));
    if STEPS.iter().any(|step| is_asked(step) && step.name == "suite") {
        setup::servers();
    }
    let mut counts = Counts::default();
    let mut times = Vec::new();
    for step in STEPS.iter().filter(|step| is_asked(step) || is_needed(step.name)) {
        say(&format!("step {}: {}", step.name, step.about));
        let start = Instant::now();
        let outcome = step.action.run(workspace, &mut counts);
        let elapsed = start.elapsed();
        times.push((step.name, elapsed));
        say(&format!("step {} took {:.1} s", step.name, elapsed.as_secs_f64()));
        if let Err(message) = outcome {
            print_summary(&times, &counts);
            return Err(format!(
                "step {} failed: {message}\nTo run it alone: cargo xtask test {}",
                step.name, step.name
            ));
        }
    }
    print_summary(&times, &counts);
    Ok(())
}

impl Action {
    fn run(&self, workspace: &Workspace, counts: &mut Counts) -> Outcome {
        match self {
            Action::BuildGuests => guests::build_all(workspace),
            Action::Cargo(arguments) => {
                run_command(workspace.cargo(arguments).env("RUSTDOCFLAGS", "-D warnings"))
            }
            Action::CargoTest(arguments) => counts.run(&mut workspace.cargo(arguments)),
        }
    }
}

/// Prints the steps' seconds, then the closing lines of all test runs and their sum.
fn print_summary(times: &[(&str, Duration)], counts: &Counts) {
    println!();
    for (name, elapsed) in times {
        println!("{name:<9}{:>8.1} s", elapsed.as_secs_f64());
    }
    let total: Duration = times.iter().map(|(_, elapsed)| *elapsed).sum();
    println!("{:<9}{:>8.1} s", "all", total.as_secs_f64());
    if let Some(summary) = counts.summary() {
        println!("\n{summary}");
    }
}
