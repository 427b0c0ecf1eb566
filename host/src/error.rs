//! The one error that leaves this crate, sorted by what its reader should do next.
//!
//! Guests' faults are values ([`crate::model::Fault`]) until a policy makes one of them the end of
//! a job. Bugs of the host are assertions, not errors.

use std::fmt;

/// What the reader of an error should do next. The command line maps each to an exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Fix the input, the job file or the component. Exit status 1.
    Input,
    /// Fix the function: it faulted while it ran. Exit status 3.
    Guest,
    /// Look at the disk or the storage service. Exit status 4.
    Storage,
    /// Restore something else: what was read is not what was written. Exit status 4.
    Corruption,
    /// Nothing: somebody asked the job to stop. Exit status 130, as shells report an interrupt.
    Interrupted,
}

/// An error with what failed, where, and, if there is one, the next step.
#[derive(Debug)]
pub struct Error {
    /// What to do about it.
    pub kind: ErrorKind,
    /// What failed, with which value, where. Lower case, no full stop.
    pub message: String,
    /// The next step, as a sentence without its full stop.
    pub hint: Option<String>,
    /// What lies beneath, printed as `Caused by:`.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// The id of the operator whose function faulted, if one did.
    pub operator: Option<String>,
}

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of the given kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: None, source: None, operator: None }
    }

    /// The user's input, job file or component is at fault.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// A function faulted.
    pub fn guest(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Guest, message)
    }

    /// Storage failed or holds something else than it should.
    pub fn storage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Storage, message)
    }

    /// Adds the next step.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds whose function faulted.
    #[must_use]
    pub fn of_operator(mut self, id: &str) -> Self {
        self.operator = Some(id.to_owned());
        self
    }

    /// Adds what lies beneath.
    #[must_use]
    pub fn caused_by(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl Error {
    /// The message with everything that lies beneath, in one line.
    pub fn full_text(&self) -> String {
        let mut text = self.message.clone();
        let mut beneath: Option<&dyn std::error::Error> = std::error::Error::source(self);
        while let Some(cause) = beneath {
            text.push_str(": ");
            text.push_str(&cause.to_string());
            beneath = cause.source();
        }
        text
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
