//! `tidegate build`: crates and core modules to components.
//!
//! ```text
//! crate --cargo, with a toolchain--> core module --componentize--> component
//! ```

mod cargo;
mod componentize;
mod toolchain;

use std::path::{Path, PathBuf};

use super::failure::Failure;
use super::ui::Ui;
use crate::error::{Error, Result};
use cargo::FunctionCrate;
use toolchain::Toolchain;

/// Compile function crates, or core wasm modules, to components and print their paths
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate build\n  \
    tidegate build functions/pv functions/alert --out components\n\n\
    Environment:\n  \
    TIDEGATE_GUEST_TOOLCHAIN=rustup|debian\n      \
    compile with that toolchain and no other: the one on the PATH, or Debian's rustc-web")]
pub struct Arguments {
    /// Crate folders, or .wasm files that other tools made; default: the current folder
    #[arg(value_name = "CRATE")]
    inputs: Vec<PathBuf>,
    /// Where the components go, instead of into each crate's own folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Builds everything that is named and prints a path for each, in their order.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let here = [PathBuf::from(".")];
    let inputs = if arguments.inputs.is_empty() { &here[..] } else { &arguments.inputs };
    let inputs: Vec<Input> = inputs.iter().map(|path| Input::find(path)).collect::<Result<_>>()?;
    if let Some(out) = &arguments.out {
        let failed =
            |cause| Error::storage(format!("cannot make {}", out.display())).caused_by(cause);
        std::fs::create_dir_all(out).map_err(failed)?;
    }
    for group in by_workspace(&inputs) {
        let toolchain = Toolchain::find(&group[0].workspace, ui)?;
        cargo::build(&group, &toolchain)?;
    }
    for input in &inputs {
        let component = input.componentize(arguments.out.as_deref())?;
        ui.answer(component.display().to_string())?;
    }
    Ok(())
}

/// Something to build.
enum Input {
    Crate(FunctionCrate),
    File(PathBuf),
}

impl Input {
    fn find(path: &Path) -> Result<Self> {
        if path.extension().is_some_and(|extension| extension == "wasm") && !path.is_dir() {
            return Ok(Self::File(path.to_owned()));
        }
        // A manifest stands for its folder.
        let is_manifest = path.file_name().is_some_and(|name| name == "Cargo.toml");
        let folder = path.parent().filter(|_| is_manifest).unwrap_or(path);
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        FunctionCrate::find(folder).map(Self::Crate)
    }

    /// Makes the component and returns its path.
    fn componentize(&self, out: Option<&Path>) -> Result<PathBuf> {
        match self {
            Self::Crate(function) => {
                let name = format!("{}.wasm", function.library);
                let to = out.unwrap_or(&function.folder).join(name);
                componentize::file(&function.artifact(), &to)
            }
            Self::File(path) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let to = match out {
                    Some(out) => out.join(format!("{stem}.wasm")),
                    None => path.with_file_name(format!("{stem}.component.wasm")),
                };
                componentize::file_unless_done(path, &to, out.is_some())
            }
        }
    }
}

/// The crates, those of one workspace together: cargo builds them in one go.
fn by_workspace(inputs: &[Input]) -> Vec<Vec<&FunctionCrate>> {
    let mut groups: Vec<Vec<&FunctionCrate>> = Vec::new();
    for input in inputs {
        let Input::Crate(function) = input else { continue };
        match groups.iter_mut().find(|group| group[0].workspace == function.workspace) {
            Some(group) => group.push(function),
            None => groups.push(vec![function]),
        }
    }
    groups
}
