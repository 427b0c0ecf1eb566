//! What a guest did wrong, as a value. A policy decides what becomes of it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Why a call failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultReason {
    /// The function says that the record cannot be decoded.
    Malformed,
    /// The function returned an error.
    Failed,
    /// The function trapped: a panic, an out-of-bounds access, …
    Trap,
    /// The function used its memory up.
    Memory,
    /// The function took longer than its call time.
    CallTime,
    /// What the function returned breaks the contract.
    BadEffects,
    /// The function went past a limit of the job file.
    Limit,
}

/// A call that failed. None of its effects is applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Why.
    pub reason: FaultReason,
    /// Index of the record (or timer) within the batch, where it is known.
    pub at: Option<usize>,
    /// What failed, with which value.
    pub message: String,
    /// The guest's frames, innermost first; empty if the guest did not trap.
    pub backtrace: Vec<String>,
}

impl Fault {
    /// A fault at no known record.
    pub fn new(reason: FaultReason, message: impl Into<String>) -> Self {
        Self { reason, at: None, message: message.into(), backtrace: Vec::new() }
    }

    /// The guest's frames as text to put beneath an error.
    pub fn frames(&self) -> String {
        let frames: String = self.backtrace.iter().map(|frame| format!("\n    {frame}")).collect();
        format!("guest backtrace, innermost first:{frames}")
    }

    /// Whether an instance that returned this fault can be called again.
    pub fn leaves_instance_usable(&self) -> bool {
        matches!(self.reason, FaultReason::Malformed | FaultReason::Failed | FaultReason::Limit)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
