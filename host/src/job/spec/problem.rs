//! What is wrong with a job, and where: all of it, not only the first thing.

use std::fmt;
use std::path::PathBuf;

use crate::error::Error;

use super::document::Origin;

/// One thing that is wrong.
#[derive(Debug)]
pub struct Problem {
    /// What, and what to do.
    pub error: Error,
    /// Where it was written.
    pub origin: Origin,
}

impl Problem {
    /// The user's file is at fault.
    pub fn new(origin: &Origin, message: impl Into<String>) -> Self {
        Self { error: Error::input(message), origin: origin.clone() }
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.error = self.error.hint(hint);
        self
    }
}

/// Everything that is wrong with one job file, in the order of its lines. Never empty.
#[derive(Debug)]
pub struct Problems {
    /// The job file, as the user named it.
    pub file: PathBuf,
    /// What is wrong with it.
    pub list: Vec<Problem>,
}

impl Problems {
    /// Sorts the problems by place: the file as a whole, its lines, then arguments.
    pub fn new(file: PathBuf, mut list: Vec<Problem>) -> Self {
        assert!(!list.is_empty(), "a refusal gives its reasons");
        list.sort_by(|a, b| a.origin.cmp(&b.origin));
        Self { file, list }
    }

    /// Where a problem is: `job.toml:12:9`, or the argument that caused it.
    pub fn place(&self, problem: &Problem) -> String {
        match &problem.origin {
            Origin::File => self.file.display().to_string(),
            Origin::Line { line, column } => format!("{}:{line}:{column}", self.file.display()),
            Origin::Argument(argument) => argument.to_string(),
        }
    }
}

/// Without the dressing of a terminal.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.list.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}\n  --> {}", problem.error.message, self.place(problem))?;
            if let Some(hint) = &problem.error.hint {
                write!(f, "\n  hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
