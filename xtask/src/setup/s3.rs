//! The S3 server that tests start: versitygw, built from the Go module proxy into the user's cache
//! folder, which takes two minutes once.

use super::packages;
use crate::shell::{Outcome, capture, is_on_path, say};
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODULE: &str = "github.com/versity/versitygw/cmd/versitygw";
const VERSION: &str = "v1.0.14";

/// Where Go's own archive is unpacked, which is on no path by itself.
const GO_FOLDER: &str = "/usr/local/go/bin";

/// Builds it if it is not there.
pub fn install() -> Outcome {
    let folder = folder()?;
    // The version is in a file beside it: the program, built so, does not know its own.
    let (program, note) = (folder.join("versitygw"), folder.join("versitygw.version"));
    let built = std::fs::read_to_string(&note).unwrap_or_default();
    if program.is_file() && built.trim() == VERSION {
        return Ok(());
    }
    if find_go().is_none() {
        packages::install(&["golang-go"])?;
    }
    let go = find_go().ok_or("there is no Go")?;
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    say(&format!("building the S3 server of the tests: go install {MODULE}@{VERSION}"));
    let mut command = Command::new(go);
    command.args(["install", &format!("{MODULE}@{VERSION}")]);
    // With the Go that is there: another one cannot be had from a module proxy.
    command.env("GOBIN", &folder).env("GOTOOLCHAIN", "local");
    capture(&mut command)?;
    std::fs::write(&note, VERSION).map_err(|error| format!("{}: {error}", note.display()))
}

fn folder() -> Outcome<PathBuf> {
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = cache.or_else(home).ok_or("neither HOME nor XDG_CACHE_HOME is set")?;
    Ok(cache.join("tidegate/servers"))
}

fn find_go() -> Option<PathBuf> {
    if is_on_path("go") {
        return Some("go".into());
    }
    Some(Path::new(GO_FOLDER).join("go")).filter(|path| path.is_file())
}
