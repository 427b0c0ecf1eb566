//! How a command fails, and the exit status of each way.

use std::process::ExitCode;

use crate::error::{Error, ErrorKind};
use crate::job::Problems;

/// The status by which shells report an interrupt.
pub const INTERRUPTED: u8 = 130;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub enum Failure {
    /// One thing failed.
    Error(Error),
    /// A job file is wrong in these ways.
    Problems(Problems),
    /// The reader of stdout has gone, as `head` does. Not an error: nothing is told, and the status
    /// is 0.
    BrokenPipe,
    /// The user stopped it, and knows.
    Interrupted,
}

impl Failure {
    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Failure::Error(error) => match error.kind {
                ErrorKind::Input => 1.into(),
                ErrorKind::Guest => 3.into(),
                ErrorKind::Storage | ErrorKind::Corruption => 4.into(),
                ErrorKind::Interrupted => INTERRUPTED.into(),
            },
            Failure::Problems(_) => 1.into(),
            Failure::BrokenPipe => ExitCode::SUCCESS,
            Failure::Interrupted => INTERRUPTED.into(),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::Problems(problems)
    }
}
