//! What compiles functions to wasm: rustup's target, or Debian's own compiler and std's source
//! where rustup's server cannot be reached.
//!
//! Only installs; choosing between the two when a function is built is `tidegate build`'s.

use super::packages::LLD;
use crate::shell::{capture, is_on_path, say};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's way: a compiler, std's source to build std from, and a linker.
pub const PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", LLD];

/// Whether one of the two ways is there.
pub fn is_ready() -> bool {
    target_has_std() || debian_is_complete()
}

/// Tries rustup; `false` if there is none, or if it cannot download.
pub fn add_by_rustup() -> bool {
    if !is_on_path("rustup") {
        return false;
    }
    say(&format!("installing the wasm target: rustup target add {TARGET}"));
    match capture(Command::new("rustup").args(["target", "add", TARGET])) {
        Ok(_) => true,
        Err(_) => {
            say("rustup cannot download it here; Debian's packages serve as well");
            false
        }
    }
}

/// What to do when neither way could be installed.
pub fn advice() -> String {
    format!(
        "there is still no toolchain that compiles to {TARGET}; either run \
         `rustup target add {TARGET}`, or on Debian \
         `apt-get install --no-install-recommends {}`",
        PACKAGES.join(" ")
    )
}

/// Whether the compiler on the path has a std for wasm.
fn target_has_std() -> bool {
    let print = ["--print", "target-libdir", "--target", TARGET];
    let folder = capture(Command::new("rustc").args(print)).unwrap_or_default();
    let Ok(entries) = Path::new(folder.trim()).read_dir() else { return false };
    entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Whether Debian's compiler, cargo, std's source and a linker are all there.
fn debian_is_complete() -> bool {
    let sysroot = capture(Command::new("/usr/bin/rustc").args(["--print", "sysroot"]));
    let source = Path::new(sysroot.unwrap_or_default().trim()).join("lib/rustlib/src/rust/library");
    Path::new("/usr/bin/cargo").is_file() && source.join("std").is_dir() && wasm_linker().is_some()
}

/// A `wasm-ld` or `wasm-ld-NN` on the path.
fn wasm_linker() -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let files = env::split_paths(&path).filter_map(|folder| folder.read_dir().ok()).flatten();
    let mut programs = files.flatten().map(|file| file.path());
    programs.find(|program| {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        name.strip_prefix("wasm-ld").is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}
