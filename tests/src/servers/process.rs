//! A server as a child process that does not outlive its test.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Runs the server, tells its number, and ends it when nobody holds standard input open any more:
/// also if the test's process is killed.
const SCRIPT: &str = "\"$@\" </dev/null >&2 & server=$!; echo $server; read -r _; \
     kill -9 $server 2>/dev/null; wait";

/// A server that runs.
pub(super) struct Server {
    shell: Child,
    id: u32,
}

impl Server {
    /// Starts a program. What it writes goes to a file.
    pub(super) fn start<A: AsRef<OsStr>>(
        program: &str,
        arguments: impl IntoIterator<Item = A>,
        log: &Path,
    ) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("it can be written");
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "server", program]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut shell = command.spawn().expect("there is a shell");
        let mut line = String::new();
        let stdout = shell.stdout.as_mut().expect("it was asked for as a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the shell tells a number");
        let id = line.trim().parse().unwrap_or_else(|_| panic!("{line:?} is no number"));
        Self { shell, id }
    }

    /// Sends a signal.
    pub(super) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.id);
        let status = Command::new("sh").args(["-c", &kill]).status().expect("there is a shell");
        assert!(status.success(), "cannot signal process {}", self.id);
    }

    /// Waits until it has ended after a signal.
    pub(super) fn wait(mut self) {
        drop(self.shell.stdin.take());
        self.shell.wait().expect("the shell ends with it");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        // It ends at once. One that has ended has been waited for.
        let _ = self.shell.wait();
    }
}
