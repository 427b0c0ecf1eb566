//! The only place that prints. The answer goes to stdout, the story to stderr.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};

use super::failure::Failure;
use crate::error::Error;
use crate::job::{Plan, Problems};
use crate::wasm::LogLevel;

const RED: &str = "1;31";
const YELLOW: &str = "1;33";
const CYAN: &str = "36";
const BLUE: &str = "34";

/// What may be shown on stderr.
#[derive(Debug, Clone, Copy)]
pub struct Ui {
    color: bool,
    progress: bool,
}

impl Ui {
    /// Looks at the terminal and at `NO_COLOR`.
    pub fn new() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let terminal = io::stderr().is_terminal();
        let plain = variable("NO_COLOR").is_some();
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        Self { color: terminal && !plain && !dumb, progress: terminal && !plain && !dumb }
    }

    /// Whether progress may be drawn.
    pub fn shows_progress(&self) -> bool {
        self.progress
    }

    /// Prints a line, or several, of the answer.
    ///
    /// # Errors
    /// If stdout takes no more.
    pub fn answer(&self, text: impl AsRef<str>) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{}", text.as_ref()).and_then(|()| out.flush());
        written.map_err(|cause| match cause.kind() {
            io::ErrorKind::BrokenPipe => Failure::BrokenPipe,
            _ => Error::storage("cannot write to standard output").caused_by(cause).into(),
        })
    }

    /// Prints a line, or several, of the story.
    pub fn story(&self, text: impl AsRef<str>) {
        // Nobody is left to tell if stderr is closed.
        let _ = writeln!(io::stderr().lock(), "{}", text.as_ref());
    }

    /// Prints what the user should know although all goes on.
    pub fn warning(&self, text: &str) {
        self.story(format!("{} {}", self.paint(YELLOW, "warning:"), sentence(text)));
    }

    /// Prints a line of the job's log.
    pub fn log(&self, level: LogLevel, line: &str) {
        match level {
            LogLevel::Debug => self.story(format!("debug: {line}")),
            LogLevel::Info => self.story(format!("info: {line}")),
            LogLevel::Warn => self.warning(line),
            LogLevel::Error => self.story(format!("{} {line}", self.paint(RED, "error:"))),
        }
    }

    /// Prints the warnings of a plan.
    pub fn warnings(&self, plan: &Plan) {
        plan.warnings.iter().for_each(|warning| self.warning(warning));
    }

    /// Prints why a command failed.
    pub fn failure(&self, failure: &Failure) {
        match failure {
            Failure::Error(error) => self.story(self.render(error, None).trim_end()),
            Failure::Problems(problems) => self.story(self.render_problems(problems).trim_end()),
            Failure::BrokenPipe | Failure::Interrupted => {}
        }
    }

    fn render_problems(&self, problems: &Problems) -> String {
        let rendered = problems
            .list
            .iter()
            .map(|problem| self.render(&problem.error, Some(&problems.place(problem))));
        let mut text: String = rendered.collect();
        if problems.list.len() > 1 {
            let _ =
                writeln!(text, "{}: {} problems.", problems.file.display(), problems.list.len());
        }
        text
    }

    fn render(&self, error: &Error, place: Option<&str>) -> String {
        let mut text = format!("{} {}\n", self.paint(RED, "error:"), sentence(&error.message));
        if let Some(place) = place {
            let _ = writeln!(text, "  {} {place}", self.paint(BLUE, "-->"));
        }
        if let Some(hint) = &error.hint {
            let _ = writeln!(text, "  {} {}", self.paint(CYAN, "hint:"), sentence(hint));
        }
        let mut cause = std::error::Error::source(error);
        if cause.is_some() {
            text.push_str("Caused by:\n");
        }
        while let Some(error) = cause {
            let message = error.to_string();
            let _ = writeln!(text, "  {}", message.trim_end().replace('\n', "\n  "));
            cause = error.source();
        }
        text
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Ends a message as a sentence, if it does not end as one already.
fn sentence(message: &str) -> String {
    let message = message.trim_end();
    let end = if message.ends_with(['.', '?', '!', ':', '…']) { "" } else { "." };
    format!("{message}{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Ui = Ui { color: false, progress: false };

    #[test]
    fn an_error_has_a_place_a_hint_and_causes() {
        let cause = io::Error::other("the disk is on fire");
        let error = Error::input("cannot read `x`").hint("call for help").caused_by(cause);
        assert_eq!(
            PLAIN.render(&error, Some("job.toml:12:9")),
            "error: cannot read `x`.\n  --> job.toml:12:9\n  hint: call for help.\nCaused by:\n  \
             the disk is on fire\n"
        );
    }

    #[test]
    fn color_is_kept_from_what_is_not_a_terminal() {
        let error = Error::input("no");
        assert_eq!(PLAIN.render(&error, None), "error: no.\n");
        let color = Ui { color: true, progress: false };
        assert_eq!(color.render(&error, None), "\u{1b}[1;31merror:\u{1b}[0m no.\n");
    }

    #[test]
    fn sentences_end_once() {
        assert_eq!(sentence("did you mean `x`?"), "did you mean `x`?");
        assert_eq!(sentence("done.\n"), "done.");
    }
}
