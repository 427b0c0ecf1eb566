//! A record or timer at which a function faulted by itself, handed to whoever decides what becomes
//! of it.

use crate::error::Result;
use crate::model::{Fault, Position, TimeDomain};

/// What a function was called for when it faulted.
#[derive(Debug)]
pub enum Cause<'a> {
    /// A record.
    Record {
        /// Its bytes.
        value: &'a [u8],
        /// Where it came from.
        position: Position,
    },
    /// A timer.
    Timer {
        /// When it was due.
        timestamp: i64,
        /// On which clock.
        domain: TimeDomain,
    },
}

/// A record or timer at which a function faulted by itself. None of the call's effects was applied.
#[derive(Debug)]
pub struct Rejected<'a> {
    /// What the function did wrong.
    pub fault: &'a Fault,
    /// The key, if the operator has keys.
    pub key: Option<&'a [u8]>,
    /// The record or timer.
    pub cause: Cause<'a>,
}

/// Decides what becomes of what a function faults at.
pub trait Rejections {
    /// Takes note of a record or timer and lets the operator go on without it.
    ///
    /// # Errors
    /// If the job shall fail because of it, or if it cannot be noted.
    fn reject(&mut self, rejected: &Rejected<'_>) -> Result<()>;
}
