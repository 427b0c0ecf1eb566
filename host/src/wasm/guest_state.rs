//! What the host keeps beside each instance, and all that a function can reach of the host: the log
//! and its own held state.

use std::fmt;
use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::bindings::{self, types};
use crate::model::Limits;

/// The severity of a guest's log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// For the curious.
    Info,
    /// Something is odd.
    Warn,
    /// Something is wrong.
    Error,
}

/// Where guests' log lines go.
#[derive(Clone)]
pub struct LogSink(Arc<WriteLine>);

type WriteLine = dyn Fn(LogLevel, &str) + Send + Sync;

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogSink")
    }
}

impl LogSink {
    /// Calls `write` with every line.
    pub fn new(write: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        Self(Arc::new(write))
    }

    /// Writes a line.
    pub fn write(&self, level: LogLevel, line: &str) {
        (self.0)(level, line);
    }

    /// Drops every line.
    pub fn none() -> Self {
        Self::new(|_, _| {})
    }
}

/// What the store of an instance holds for the host.
pub struct GuestState {
    memory_bytes_max: usize,
    /// The size that was denied, if growth was denied since the last call began.
    pub(super) memory_denied: Option<usize>,
    /// The last error that the guest logged since the last call began: its panic message, if it
    /// panicked.
    pub(super) last_error: Option<String>,
    log: LogSink,
}

impl GuestState {
    pub(super) fn new(limits: &Limits, log: LogSink) -> Self {
        Self { memory_bytes_max: limits.memory_bytes, memory_denied: None, last_error: None, log }
    }
}

impl ResourceLimiter for GuestState {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let granted = desired <= self.memory_bytes_max;
        if !granted {
            self.memory_denied = Some(desired);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        // A table holds functions; no function of ours needs more than a compiler makes.
        Ok(desired <= 1 << 20)
    }
}

impl bindings::host::Host for GuestState {
    fn log(&mut self, level: bindings::host::Level, message: String) {
        let level = match level {
            bindings::host::Level::Debug => LogLevel::Debug,
            bindings::host::Level::Info => LogLevel::Info,
            bindings::host::Level::Warn => LogLevel::Warn,
            bindings::host::Level::Error => LogLevel::Error,
        };
        let message = printable(&message);
        self.log.write(level, &message);
        if level == LogLevel::Error {
            self.last_error = Some(message);
        }
    }
}

/// No call has brought a list or map other than whole.
fn not_held() -> wasmtime::Error {
    wasmtime::Error::msg("the function reads held state, but the call holds none back")
}

impl bindings::held_state::Host for GuestState {
    fn list_read(
        &mut self,
        _state: u32,
        _key: u32,
        _start: u64,
        _bytes_max: u32,
    ) -> wasmtime::Result<bindings::held_state::Elements> {
        Err(not_held())
    }

    fn map_get(
        &mut self,
        _state: u32,
        _key: u32,
        _map_keys: types::PackedResult,
    ) -> wasmtime::Result<(Vec<u8>, types::PackedResult)> {
        Err(not_held())
    }

    fn map_scan(
        &mut self,
        _state: u32,
        _key: u32,
        _after: Option<Vec<u8>>,
        _bytes_max: u32,
    ) -> wasmtime::Result<bindings::held_state::Entries> {
        Err(not_held())
    }
}

/// A guest's text as it may be shown on a terminal: of bounded length, control characters escaped.
pub(super) fn printable(text: &str) -> String {
    const BYTES_MAX: usize = 4096;
    let cut = &text[..text.floor_char_boundary(BYTES_MAX)];
    let mut shown = String::with_capacity(cut.len());
    for character in cut.chars() {
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    if cut.len() < text.len() {
        shown.push_str(" …");
    }
    shown
}
