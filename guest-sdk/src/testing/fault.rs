//! What a test sees of a call that failed.

use std::fmt;

use crate::bindings::tidegate::function::types;
pub use crate::bindings::tidegate::function::types::FaultKind;

/// A call that failed. None of its effects was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Whether the record or the function is to blame.
    pub kind: FaultKind,
    /// The index of the record or timer in the call, where there was one.
    pub at: Option<u32>,
    /// What failed, with which value.
    pub message: String,
}

impl Fault {
    pub(super) fn failed(message: impl fmt::Display) -> Self {
        Self { kind: FaultKind::Failed, at: None, message: message.to_string() }
    }
}

impl From<types::Fault> for Fault {
    fn from(types::Fault { kind, at, message }: types::Fault) -> Self {
        Self { kind, at, message }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            FaultKind::Malformed => "malformed",
            FaultKind::Failed => "failed",
        };
        match self.at {
            Some(at) => write!(f, "{kind} at record or timer {at} of the call: {}", self.message),
            None => write!(f, "{kind}: {}", self.message),
        }
    }
}

impl std::error::Error for Fault {}
