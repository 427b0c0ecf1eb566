//! Cargo: asked what a crate is, told to compile it.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::toolchain::Toolchain;
use crate::error::{Error, Result};

/// The target of functions.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// What a function needs of its profile, whatever the crate says: small, fast to load, and with the
/// names of its functions, so that backtraces have them.
const PROFILE: [&str; 6] = [
    "profile.release.opt-level=3",
    "profile.release.lto=true",
    "profile.release.codegen-units=1",
    "profile.release.panic=\"abort\"",
    "profile.release.strip=\"debuginfo\"",
    "profile.release.incremental=false",
];

/// A crate whose library is a function.
#[derive(Debug)]
pub struct FunctionCrate {
    /// The folder of the crate, as the user named it.
    pub folder: PathBuf,
    /// What cargo calls the package, unmistakably.
    package: String,
    /// The name of the library, as its file has it.
    pub library: String,
    /// The folder of the workspace that the crate belongs to; its own if to none.
    pub workspace: PathBuf,
    /// Where this command lets cargo write.
    target: PathBuf,
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    workspace_root: PathBuf,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Target {
    fn is_cdylib(&self) -> bool {
        self.crate_types.iter().any(|kind| kind == "cdylib")
    }
}

impl FunctionCrate {
    /// Asks cargo about the crate in `folder`.
    ///
    /// # Errors
    /// If there is no crate, cargo does not understand it, or it has no cdylib.
    pub fn find(folder: &Path) -> Result<Self> {
        let shown = folder.display();
        let manifest = folder.join("Cargo.toml");
        if !manifest.is_file() {
            let hint = "name the folder of a function crate, or make one with \
                        `tidegate new NAME --kind keyed`";
            return Err(Error::input(format!("there is no crate in {shown}")).hint(hint));
        }
        let metadata = read_metadata(folder)?;
        let manifest = manifest.canonicalize().unwrap_or(manifest);
        let is_ours = |package: &Package| {
            package.manifest_path.canonicalize().is_ok_and(|path| path == manifest)
        };
        let functions = function_folders(&metadata);
        let package = metadata.packages.into_iter().find(is_ours).ok_or_else(|| {
            let error = Error::input(format!("{shown} is a workspace, not a crate"));
            match functions.is_empty() {
                true => error.hint("it has no function crates"),
                false => error.hint(format!("name function crates of it: {}", functions.join(" "))),
            }
        })?;
        let library =
            package.targets.iter().find(|target| target.is_cdylib()).ok_or_else(|| {
                Error::input(format!(
                    "crate {} in {shown} is no function: it has no cdylib",
                    package.name
                ))
                .hint("write `crate-type = [\"cdylib\", \"rlib\"]` below `[lib]` in its Cargo.toml")
            })?;
        Ok(Self {
            folder: folder.to_owned(),
            library: library.name.replace('-', "_"),
            package: package.id,
            workspace: metadata.workspace_root,
            // Apart from the host's: the compiler may be another one.
            target: metadata.target_directory.join("tidegate"),
        })
    }

    /// Where cargo puts the core module.
    pub fn artifact(&self) -> PathBuf {
        self.target.join(TARGET).join("release").join(format!("{}.wasm", self.library))
    }
}

/// The folders of the function crates of a workspace.
fn function_folders(metadata: &Metadata) -> Vec<String> {
    let packages = metadata.packages.iter();
    let functions = packages.filter(|package| package.targets.iter().any(Target::is_cdylib));
    let folders = functions.filter_map(|package| package.manifest_path.parent());
    folders.map(|folder| folder.display().to_string()).collect()
}

fn read_metadata(folder: &Path) -> Result<Metadata> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(folder);
    let output = command.stderr(Stdio::inherit()).output().map_err(no_cargo)?;
    if !output.status.success() {
        let message = format!("cargo cannot read the crate in {}", folder.display());
        return Err(Error::input(message).hint("cargo says above why"));
    }
    serde_json::from_slice(&output.stdout).map_err(|cause| {
        Error::input("cargo describes the crate in a form that is not known").caused_by(cause)
    })
}

/// Compiles crates of one workspace. Cargo tells its story on stderr itself.
///
/// # Errors
/// If cargo cannot be run or fails.
pub fn build(crates: &[&FunctionCrate], toolchain: &Toolchain) -> Result<()> {
    let (workspace, target) = (&crates[0].workspace, &crates[0].target);
    let mut command = toolchain.cargo();
    command.current_dir(workspace).args(["build", "--release", "--lib", "--target", TARGET]);
    command.arg("--target-dir").arg(target);
    for setting in PROFILE {
        command.args(["--config", setting]);
    }
    for function in crates {
        command.args(["-p", &function.package]);
    }
    // stdout is for the paths of components.
    let status = command.stdout(Stdio::from(io::stderr())).status().map_err(no_cargo)?;
    if status.success() {
        return Ok(());
    }
    let names: Vec<String> =
        crates.iter().map(|function| function.folder.display().to_string()).collect();
    Err(Error::input(format!("cargo cannot compile {}", names.join(", ")))
        .hint("cargo says above why"))
}

fn no_cargo(cause: io::Error) -> Error {
    let error = Error::input("cannot run cargo");
    match cause.kind() {
        io::ErrorKind::NotFound => error.hint("install Rust from https://rustup.rs"),
        _ => error.caused_by(cause),
    }
}
