//! Sums up the results of cargo's test runs while their output streams through.

use crate::shell::{Outcome, line_of};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

/// The results so far.
#[derive(Default)]
pub struct Counts {
    /// `test result: …` of every test binary that had tests, as it was printed.
    closing_lines: Vec<String>,
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// Runs a `cargo test` to its end, passes its output on and counts its results.
    pub fn run(&mut self, command: &mut Command) -> Outcome {
        let typed = line_of(command);
        let failure = |error: std::io::Error| format!("`{typed}`: {error}");
        let mut child = command.stdout(Stdio::piped()).spawn().map_err(failure)?;
        let output = child.stdout.take().expect("stdout was asked for as a pipe");
        let mut output = BufReader::new(output);
        let mut line = Vec::new();
        // By bytes: what a test prints need not be UTF-8.
        while output.read_until(b'\n', &mut line).map_err(failure)? > 0 {
            std::io::stdout().write_all(&line).map_err(failure)?;
            self.count(String::from_utf8_lossy(&line).trim_end());
            line.clear();
        }
        let status = child.wait().map_err(failure)?;
        if status.success() { Ok(()) } else { Err(format!("`{typed}`: {status}")) }
    }

    /// All closing lines, then `N passed, M failed`; `None` if no test ran.
    pub fn summary(&self) -> Option<String> {
        if self.closing_lines.is_empty() {
            return None;
        }
        let ignored = match self.ignored {
            0 => String::new(),
            count => format!(", {count} ignored"),
        };
        let lines = self.closing_lines.join("\n");
        Some(format!("{lines}\n{} passed, {} failed{ignored}", self.passed, self.failed))
    }

    /// Takes in a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
    fn count(&mut self, line: &str) {
        let Some((_, results)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        let number_of = |word: &str| -> u64 {
            let mut parts = results.split("; ").filter_map(|part| part.split_once(' '));
            parts.find(|(_, name)| *name == word).and_then(|(n, _)| n.parse().ok()).unwrap_or(0)
        };
        let (passed, failed, ignored) =
            (number_of("passed"), number_of("failed"), number_of("ignored"));
        if passed + failed + ignored > 0 {
            self.closing_lines.push(line.to_owned());
        }
        self.passed += passed;
        self.failed += failed;
        self.ignored += ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_up_results_and_keeps_their_lines() {
        let mut counts = Counts::default();
        assert_eq!(counts.summary(), None);
        for line in [
            "test codec::reads ... ok",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out",
            "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out",
            "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out",
        ] {
            counts.count(line);
        }
        let summary = counts.summary().expect("there were results");
        assert_eq!(summary.lines().count(), 3);
        assert!(summary.ends_with("\n7 passed, 2 failed, 1 ignored"), "{summary}");
    }
}
