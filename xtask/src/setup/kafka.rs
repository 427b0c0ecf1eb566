//! The broker that tests run against: Apache Kafka itself, as Maven Central has it, in the user's
//! cache folder. `tests/src/servers/kafka.rs` finds it there.
//!
//! What cannot be had is no failure here: the tests say that they are skipped, and fail where the
//! variable `CI` is set.

use super::packages;
use crate::shell::{Outcome, capture, is_on_path, say};
use crate::workspace::Workspace;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What runs the broker and what fetches it, with Debian's packages for them.
const NEEDS: [(&str, &str); 2] = [("java", "default-jre-headless"), ("mvn", "maven")];

/// Fetches the broker for the tests, if it is not there yet.
pub fn fetch_for_tests(workspace: &Workspace) {
    if let Err(reason) = fetch(workspace) {
        say(&format!("the tests with Kafka will be skipped: {reason}"));
    }
}

/// Fetches the broker, if it is not there yet. Returns the folder of its jars.
pub fn fetch(workspace: &Workspace) -> Outcome<PathBuf> {
    let pom = workspace.root().join("tests/servers/kafka/pom.xml");
    let folder = folder(&pom)?;
    let is_fetched = folder.is_dir();
    let unmet = NEEDS.iter().filter(|(program, _)| !is_on_path(program));
    // Without the need to fetch there is none for what fetches.
    let wanted: Vec<&str> = unmet
        .filter(|(program, _)| *program == "java" || !is_fetched)
        .map(|(_, package)| *package)
        .collect();
    if !wanted.is_empty() {
        packages::install(&wanted)?;
    }
    if is_fetched {
        return Ok(folder);
    }
    say(&format!("fetching Apache Kafka with Maven into {}", folder.display()));
    let partial = folder.with_extension("partial");
    let mut maven = Command::new("mvn");
    maven.args(["-q", "-B", "-f"]).arg(&pom).arg("dependency:copy-dependencies");
    maven.arg("-DincludeScope=runtime");
    maven.arg(format!("-DoutputDirectory={}", partial.display()));
    capture(&mut maven)?;
    let moved = fs::rename(&partial, &folder);
    moved.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// Where the broker of this version belongs.
fn folder(pom: &Path) -> Outcome<PathBuf> {
    let text =
        fs::read_to_string(pom).map_err(|e| format!("cannot read {}: {e}", pom.display()))?;
    let broker = text.split("<artifactId>kafka_2.13</artifactId>").nth(1).unwrap_or_default();
    let version = broker.split("<version>").nth(1).and_then(|rest| rest.split('<').next());
    let version = version.ok_or_else(|| format!("{} names no version", pom.display()))?;
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let cache = env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(home);
    let cache = cache.ok_or("neither XDG_CACHE_HOME nor HOME is set")?;
    Ok(cache.join("tidegate").join(format!("kafka-{version}")))
}
