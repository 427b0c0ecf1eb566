//! What a function may use. Every limit has a default and a clear fault.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The limits of one operator's function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// All linear memory of one instance, in bytes. Default 64 MiB. Growth past it is denied, which
    /// most languages turn into a trap.
    pub memory_bytes: usize,
    /// Time of one call, on the wall clock. Default 1 s. The call is interrupted within 20 ms after
    /// it.
    pub call_time: Duration,
    /// Bytes of all records that one call sends out. Default 64 MiB.
    pub output_bytes: usize,
    /// Bytes of one state of one key. Default 16 MiB.
    pub state_bytes: usize,
    /// The longest list or map of a key that is brought to the function whole, in bytes; a longer
    /// one it reads in part. Default 64 KiB.
    pub whole_state_bytes: usize,
    /// Pending timers of one key. Default 100,000.
    pub timers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            call_time: Duration::from_secs(1),
            output_bytes: 64 << 20,
            state_bytes: 16 << 20,
            whole_state_bytes: 64 << 10,
            timers: 100_000,
        }
    }
}
