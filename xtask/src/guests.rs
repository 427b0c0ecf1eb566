//! `cargo xtask guests`: the host, and with it every component of examples/ and tests/guests/.

use crate::shell::{Outcome, run, say};
use crate::workspace::Workspace;
use std::path::PathBuf;

/// Builds the host, then all function crates of the repository with one call of it.
pub fn build_all(workspace: &Workspace) -> Outcome {
    let mut crates = workspace.crates_in("examples")?;
    crates.extend(workspace.crates_in("tests/guests")?);
    build(workspace, &crates)
}

/// Builds the host, then the function crates in these folders.
pub fn build(workspace: &Workspace, crates: &[PathBuf]) -> Outcome {
    say("building the host");
    // For the whole workspace, as the tests are: features of other packages would otherwise
    // compile wasmtime a second time.
    run(&mut workspace.cargo("build --release --workspace --bin tidegate"))?;
    say(&format!("building {} function crates", crates.len()));
    let names = crates.iter().map(|path| path.strip_prefix(workspace.root()).unwrap_or(path));
    run(workspace.command(workspace.binary("tidegate")).arg("build").args(names))
}
