//! `cargo xtask guests`: the host, and with it every component of examples/, tests/guests/ and
//! bench/guests/.

use crate::shell::{Outcome, run, say};
use crate::workspace::Workspace;
use std::path::PathBuf;

/// Builds the host, then all function crates of the repository with one call of it.
pub fn build_all(workspace: &Workspace) -> Outcome {
    let mut crates = workspace.crates_in("examples")?;
    crates.extend(workspace.crates_in("tests/guests")?);
    crates.extend(workspace.crates_in("bench/guests")?);
    // For the whole workspace, as the tests are: features of other packages would otherwise
    // compile wasmtime a second time.
    build(workspace, "--workspace", &crates)
}

/// Builds the host as cargo's arguments `which` say, then the function crates in these folders.
pub fn build(workspace: &Workspace, which: &str, crates: &[PathBuf]) -> Outcome {
    say("building the host");
    run(&mut workspace.cargo(&format!("build --release --bin tidegate {which}")))?;
    say(&format!("building {} function crates", crates.len()));
    let names = crates.iter().map(|path| path.strip_prefix(workspace.root()).unwrap_or(path));
    run(workspace.command(workspace.binary("tidegate")).arg("build").args(names))
}
