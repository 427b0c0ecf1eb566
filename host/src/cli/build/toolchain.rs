//! Which compiler makes functions.
//!
//! In order: the toolchain on the PATH if it has the target; the same after `rustup target add`;
//! Debian's rustc-web and cargo-web, which compile the standard library along with the function.
//! The last is for machines that cannot download the target.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::cargo::TARGET;
use crate::cli::ui::Ui;
use crate::error::{Error, Result};

/// Forces a toolchain; see [`Wish`].
const VARIABLE: &str = "TIDEGATE_GUEST_TOOLCHAIN";

/// Where Debian's packages put their programs, whatever else is on the PATH.
const DEBIAN_PROGRAMS: &str = "/usr/bin";

const DEBIAN_PACKAGES: &str = "rustc-web cargo-web rust-web-src lld-22";

/// A way to compile for [`TARGET`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Toolchain {
    /// The cargo on the PATH.
    Default,
    /// Debian's, with the linker that links wasm.
    Debian { linker: PathBuf },
}

/// What the user forces by the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Any,
    Rustup,
    Debian,
}

impl Toolchain {
    /// Finds a toolchain for the crates of `workspace`, which may choose its own by
    /// `rust-toolchain.toml`.
    ///
    /// # Errors
    /// If there is none, with what to install.
    pub fn find(workspace: &Path, ui: &Ui) -> Result<Self> {
        let variable = std::env::var(VARIABLE).unwrap_or_default();
        let wish = read_wish(&variable)?;
        if wish != Wish::Debian {
            if default_has_target(workspace) {
                return Ok(Self::Default);
            }
            if add_target(workspace, ui) && default_has_target(workspace) {
                return Ok(Self::Default);
            }
        }
        if wish != Wish::Rustup
            && let Some(linker) = find_debian()
        {
            ui.story(
                "Compiling with Debian's rustc-web; the first build takes about a minute longer",
            );
            return Ok(Self::Debian { linker });
        }
        Err(none_found(wish))
    }

    /// Cargo, ready for its arguments after `build`.
    pub fn cargo(&self) -> Command {
        match self {
            Self::Default => Command::new("cargo"),
            Self::Debian { linker } => {
                let programs = Path::new(DEBIAN_PROGRAMS);
                let mut command = Command::new(programs.join("cargo"));
                let path = std::env::var_os("PATH").unwrap_or_default();
                let path = std::env::split_paths(&path);
                let path = std::env::join_paths(std::iter::once(programs.to_owned()).chain(path));
                // A path that cannot be joined was no path before.
                command.env("PATH", path.unwrap_or_else(|_| programs.into()));
                command.env("RUSTC", programs.join("rustc"));
                command.env_remove("RUSTUP_TOOLCHAIN").env_remove("RUSTC_WRAPPER");
                // -Zbuild-std on a released compiler.
                command.env("RUSTC_BOOTSTRAP", "1");
                command.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
                command.arg("-Zbuild-std=std,panic_abort");
                command
            }
        }
    }
}

fn read_wish(text: &str) -> Result<Wish> {
    match text {
        "" => Ok(Wish::Any),
        "rustup" => Ok(Wish::Rustup),
        "debian" => Ok(Wish::Debian),
        other => Err(Error::input(format!("{VARIABLE} is {other:?}, which is not known"))
            .hint("write \"rustup\" or \"debian\", or leave it unset")),
    }
}

/// Whether the compiler on the PATH has the standard library of the target.
fn default_has_target(workspace: &Path) -> bool {
    let mut command = Command::new("rustc");
    command.args(["--print", "target-libdir", "--target", TARGET]).current_dir(workspace);
    let Ok(output) = command.stderr(Stdio::null()).output() else { return false };
    let folder = String::from_utf8_lossy(&output.stdout);
    output.status.success() && holds_std(Path::new(folder.trim()))
}

fn holds_std(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libstd-") && name.ends_with(".rlib")
    })
}

/// Downloads the target, if there is a rustup to do it.
fn add_target(workspace: &Path, ui: &Ui) -> bool {
    let rustup = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(arguments).current_dir(workspace).stdout(Stdio::null());
        command
    };
    let is_there = rustup(&["--version"]).stderr(Stdio::null()).status();
    if !is_there.is_ok_and(|status| status.success()) {
        return false;
    }
    ui.story(format!("Adding the target {TARGET} with rustup"));
    let added = rustup(&["target", "add", TARGET]).status();
    added.is_ok_and(|status| status.success())
}

/// The linker of Debian's toolchain, if all of its packages are there.
fn find_debian() -> Option<PathBuf> {
    let programs = Path::new(DEBIAN_PROGRAMS);
    if !programs.join("cargo").is_file() {
        return None;
    }
    let mut rustc = Command::new(programs.join("rustc"));
    let output = rustc.args(["--print", "sysroot"]).stderr(Stdio::null()).output().ok()?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if !sysroot.join("lib/rustlib/src/rust/library/std/Cargo.toml").is_file() {
        return None;
    }
    let names = std::fs::read_dir(programs).ok()?.flatten().map(|entry| entry.file_name());
    let names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    newest_linker(&names).map(|name| programs.join(name))
}

/// `wasm-ld-NN` with the highest number, else `wasm-ld`.
fn newest_linker(names: &[String]) -> Option<&str> {
    let version = |name: &&String| -> Option<u32> {
        match name.strip_prefix("wasm-ld")? {
            "" => Some(0),
            rest => rest.strip_prefix('-')?.parse().ok(),
        }
    };
    let versions = names.iter().filter_map(|name| Some((version(&name)?, name.as_str())));
    versions.max().map(|(_, name)| name)
}

fn none_found(wish: Wish) -> Error {
    let rustup = format!("`rustup target add {TARGET}`");
    let debian = format!("`apt-get install --no-install-recommends {DEBIAN_PACKAGES}`");
    match wish {
        Wish::Any => Error::input("there is no Rust compiler for functions here")
            .hint(format!("run {rustup}, or on Debian {debian}")),
        Wish::Rustup => {
            Error::input(format!("the Rust compiler on the PATH has no target {TARGET}"))
                .hint(format!("run {rustup}"))
        }
        Wish::Debian => Error::input("Debian's packages for functions are not installed")
            .hint(format!("run {debian}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_linker_wins() {
        let newest = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
            newest_linker(&names).map(str::to_owned)
        };
        assert_eq!(newest(&["ld", "wasm-ld", "wasm-ld-9", "wasm-ld-22"]).unwrap(), "wasm-ld-22");
        assert_eq!(newest(&["wasm-ld", "wasm-ldx", "wasm-ld-x"]).unwrap(), "wasm-ld");
        assert_eq!(newest(&["lld-22"]), None);
    }

    #[test]
    fn wishes_are_words() {
        assert_eq!(read_wish("").unwrap(), Wish::Any);
        assert_eq!(read_wish("rustup").unwrap(), Wish::Rustup);
        assert_eq!(read_wish("debian").unwrap(), Wish::Debian);
        let error = read_wish("nix").unwrap_err();
        assert_eq!(error.message, "TIDEGATE_GUEST_TOOLCHAIN is \"nix\", which is not known");
    }

    #[test]
    fn debian_overrides_what_a_rustup_shell_sets() {
        let command = Toolchain::Debian { linker: "/usr/bin/wasm-ld-22".into() }.cargo();
        assert_eq!(command.get_program(), "/usr/bin/cargo");
        let variable = |name: &str| {
            let (_, value) = command.get_envs().find(|(key, _)| *key == name).unwrap();
            value.map(|value| value.to_string_lossy().into_owned())
        };
        assert_eq!(variable("RUSTC").unwrap(), "/usr/bin/rustc");
        assert!(variable("PATH").unwrap().starts_with("/usr/bin:"));
        assert_eq!(variable("RUSTUP_TOOLCHAIN"), None);
        let linker = variable("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER").unwrap();
        assert_eq!(linker, "/usr/bin/wasm-ld-22");
    }

    #[test]
    fn a_folder_without_the_standard_library_is_no_target() {
        assert!(!holds_std(Path::new("/nowhere")));
        assert!(!holds_std(&std::env::temp_dir()));
    }
}
