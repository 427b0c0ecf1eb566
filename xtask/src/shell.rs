//! Runs other programs, and says in one line what is going on.

use std::path::Path;
use std::process::{Command, Stdio};

/// What went wrong, as a sentence for the reader of the terminal.
pub type Outcome<T = ()> = Result<T, String>;

/// Tells one step on stderr.
pub fn say(line: &str) {
    eprintln!("xtask: {line}");
}

/// Runs `command` to its end; it shares our stdout and stderr.
pub fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("`{}`: {status}", line_of(command))) }
}

/// Runs `command` unseen and returns what it wrote to stdout.
///
/// # Errors
/// With what it wrote to stderr.
pub fn capture(command: &mut Command) -> Outcome<String> {
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| cannot_start(command, &error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let story = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{}`: {}\n{}", line_of(command), output.status, story.trim_end()))
    }
}

/// Whether a program of this name can be started.
pub fn is_on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// The command as one would type it.
pub fn line_of(command: &Command) -> String {
    let program = Path::new(command.get_program());
    // Cargo hands down its own whole path.
    let is_cargo = program.file_stem().is_some_and(|name| name == "cargo");
    let program = if is_cargo { "cargo".into() } else { command.get_program().to_string_lossy() };
    let mut words = vec![program];
    words.extend(command.get_args().map(|argument| argument.to_string_lossy()));
    words.join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("cannot start `{}`: {error}", line_of(command))
}
