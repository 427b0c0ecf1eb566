//! `cargo xtask bench`: the host beside a native loop, in the same run.

use crate::shell::{Outcome, run as run_command, say};
use crate::workspace::Workspace;
use crate::{guests, setup};

/// Builds the host, the components and the benchmark, and runs it.
pub fn run(workspace: &Workspace) -> Outcome {
    setup::run()?;
    guests::build_all(workspace)?;
    say("building the benchmark");
    run_command(&mut workspace.cargo("build --release --workspace --bin tidegate-bench"))?;
    run_command(&mut workspace.command(workspace.binary("tidegate-bench")))
}
