//! `cargo xtask bench [NAME]`: measures the release binary; see `bench/src/main.rs`.

use crate::shell::{Outcome, run as run_command, say};
use crate::workspace::Workspace;
use crate::{guests, setup};

/// Builds the host, the components and the benchmark, and runs it.
pub fn run(workspace: &Workspace, names: &[&str]) -> Outcome {
    setup::run()?;
    if names.first() == Some(&"comparison") {
        setup::for_flink()?;
    }
    guests::build_all(workspace)?;
    say("building the benchmark");
    run_command(&mut workspace.cargo("build --release --workspace --bin tidegate-bench"))?;
    run_command(workspace.command(workspace.binary("tidegate-bench")).args(names))
}
