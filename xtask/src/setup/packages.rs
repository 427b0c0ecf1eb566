//! Installs Debian packages, as root, without questions.

use crate::shell::{Outcome, capture, is_on_path, say};
use std::process::Command;

/// The linker's package at the time of writing; the newest `lld-NN` on offer is installed. Its
/// program is `wasm-ld-NN`.
pub const LLD: &str = "lld-22";

/// Installs `wanted` with what it depends on, and nothing that is merely recommended.
pub fn install(wanted: &[&str]) -> Outcome {
    if !is_on_path("apt-get") {
        return Err(format!(
            "this machine lacks {}, as Debian names these packages, and has no apt-get: \
             install them, or their like, in your system's way",
            wanted.join(" ")
        ));
    }
    if capture(Command::new("id").arg("-u"))?.trim() != "0" {
        return Err(format!(
            "this machine lacks packages, and installing them takes root: \
             sudo apt-get install --no-install-recommends {}",
            wanted.join(" ")
        ));
    }
    say("reading Debian's package lists: apt-get update");
    capture(apt_get().arg("update"))?;
    let names: Vec<String> =
        wanted.iter().map(|name| offered_name(name)).collect::<Outcome<_>>()?;
    say(&format!("installing Debian's packages: apt-get install {}", names.join(" ")));
    capture(apt_get().args(["install", "-y", "--no-install-recommends"]).args(&names))?;
    Ok(())
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-q").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// The name itself, or the newest name of [`LLD`].
fn offered_name(name: &str) -> Outcome<String> {
    if name != LLD {
        return Ok(name.to_owned());
    }
    let list = capture(Command::new("apt-cache").args(["search", "--names-only", "^lld-[0-9]+$"]))?;
    let version = newest_lld(&list).ok_or("apt offers no linker for wasm (a package lld-NN)")?;
    Ok(format!("lld-{version}"))
}

/// The greatest NN among lines such as `lld-22 - LLVM-based linker`.
fn newest_lld(list: &str) -> Option<u32> {
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    names.filter_map(|name| name.strip_prefix("lld-")?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_newest_linker_by_number() {
        let list = "lld-9 - LLVM-based linker\nlld-22 - LLVM-based linker\nlld - the default\n";
        assert_eq!(newest_lld(list), Some(22));
        assert_eq!(newest_lld(""), None);
    }
}
