//! Where things are: the repository, cargo's target folder, the host's binary.

use crate::shell::{Outcome, capture};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository and its target folder, whatever folder the user stands in.
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// Asks cargo, which alone knows every way in which a target folder can be set.
    pub fn find() -> Outcome<Workspace> {
        let metadata = capture(Command::new(cargo()).args([
            "metadata",
            "--no-deps",
            "--format-version",
            "1",
        ]))?;
        let path_of = |name: &str| {
            string_after(&metadata, name)
                .map(PathBuf::from)
                .ok_or(format!("`cargo metadata` does not name its {name}"))
        };
        Ok(Workspace { root: path_of("workspace_root")?, target: path_of("target_directory")? })
    }

    /// The folder of the workspace's Cargo.toml.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// A program of the workspace, built or not.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target.join("release").join(format!("{name}{}", env::consts::EXE_SUFFIX))
    }

    /// Cargo with `arguments` separated by blanks.
    pub fn cargo(&self, arguments: &str) -> Command {
        let mut command = self.command(cargo());
        command.args(arguments.split_whitespace());
        command
    }

    /// A program that runs in the root and builds into the workspace's target folder, also if
    /// CARGO_TARGET_DIR was given relative to the folder the user stands in.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// The crates one level below `folder`, sorted; none if there is no such folder.
    pub fn crates_in(&self, folder: &str) -> Outcome<Vec<PathBuf>> {
        let folder = self.root.join(folder);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries =
            folder.read_dir().map_err(|error| format!("{}: {error}", folder.display()))?;
        let mut crates: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.join("Cargo.toml").is_file())
            .collect();
        crates.sort();
        Ok(crates)
    }
}

/// A path as the user can type it: relative if it is below the folder they stand in.
pub fn typed(path: &Path) -> String {
    let here = env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).display().to_string()
}

/// The cargo that started us, else the one on the path.
fn cargo() -> std::ffi::OsString {
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// The string value of the last `name` in JSON text without blanks; the workspace's own fields
/// come after its packages.
fn string_after(json: &str, name: &str) -> Option<String> {
    let marker = format!("\"{name}\":\"");
    let start = json.rfind(&marker)? + marker.len();
    let length = json[start..].find('"')?;
    Some(json[start..start + length].replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_last_field_of_a_name() {
        let json = r#"{"packages":[{"x":"no"}],"x":"yes","metadata":null}"#;
        assert_eq!(string_after(json, "x").as_deref(), Some("yes"));
        assert_eq!(string_after(json, "y"), None);
    }
}
