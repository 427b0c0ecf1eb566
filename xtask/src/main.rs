//! The habits of this repository as commands; `cargo xtask` alone lists them.
//!
//! One file a command. No dependencies, so that the first command of a fresh clone starts in
//! seconds. Progress goes to stderr, the answer (the demo's output, the tests' results) to stdout.
//! Not part of the product: nothing in `host/` or `guest-sdk/` knows this crate.

mod bench;
mod demo;
mod guests;
mod kafka;
mod setup;
mod shell;
mod test;
mod workspace;

use std::process::ExitCode;
use workspace::Workspace;

const HELP: &str = "\
Build, show and test Tidegate

Usage: cargo xtask COMMAND

  demo         build what is needed and run a job on real input (start here)
  test [STEP]  everything CI checks, or one step of it
  setup        install what the machine lacks (the other commands call it)
  guests       build the host and every component of examples/, tests/guests/ and bench/guests/
  kafka        run a broker at localhost:9092 until Ctrl-C
  bench [NAME] measure the host beside a native loop, or NAME: comparison (with Flink; it takes
               options, see docs/benchmarks.md), latency, start, profile, operations,
               recovery, swaps
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}\n{}", test::steps_help());
            return ExitCode::SUCCESS;
        }
        ["demo"] => Workspace::find().and_then(|workspace| demo::run(&workspace)),
        ["test", steps @ ..] if test::are_steps(steps) => {
            Workspace::find().and_then(|workspace| test::run(&workspace, steps))
        }
        ["setup"] => setup::run().map(|()| setup::servers()),
        ["guests"] => Workspace::find().and_then(|workspace| {
            setup::run()?;
            guests::build_all(&workspace)
        }),
        ["kafka"] => Workspace::find().and_then(|workspace| kafka::run(&workspace)),
        ["bench", names @ ..] => {
            Workspace::find().and_then(|workspace| bench::run(&workspace, names))
        }
        _ => {
            eprint!("unknown: {}\n\n{HELP}\n{}", words.join(" "), test::steps_help());
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::FAILURE
        }
    }
}
