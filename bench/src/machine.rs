//! What machine this is, and what else it does.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What figures depend on besides the code.
#[derive(Debug, Default, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    pub processor: String,
    pub cores: usize,
    pub memory_gib: u64,
    pub kernel: String,
    pub rustc: String,
    pub java: String,
    /// The commit that was measured.
    pub commit: String,
}

impl Machine {
    /// This one; what it does not tell stays empty.
    pub fn here() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kibibytes = value_of(&memory, "MemTotal").replace(" kB", "").parse().unwrap_or(0);
        Self {
            processor: value_of(&processors, "model name"),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: (kibibytes + (1_u64 << 19)) >> 20,
            kernel: said_by("uname", &["-sr"]),
            rustc: said_by("rustc", &["--version"]),
            java: said_by("java", &["--version"]),
            commit: said_by("git", &["rev-parse", "--short", "HEAD"]),
        }
    }
}

/// Runnable tasks, averaged over the last minute.
pub fn load() -> Result<f64> {
    let text = fs::read_to_string("/proc/loadavg")?;
    let first = text.split(' ').next().context("an empty load average")?;
    Ok(first.parse()?)
}

/// What follows a name and a colon.
fn value_of(text: &str, name: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|rest| rest.split_once(':')).map(|(_, value)| value.trim());
    value.unwrap_or_default().to_owned()
}

/// The first line of a command's output.
fn said_by(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
}
