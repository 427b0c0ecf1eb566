//! What the host keeps beside each instance, and all that a function can reach of the host: the log
//! and its own held state.

use std::fmt;
use std::sync::Arc;

use wasmtime::ResourceLimiter;

use super::bindings::{self, types};
use super::effects;
use crate::model::{Limits, Packed};
use crate::state::{Held, HeldCell, LongList, LongMap};

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
    /// What all memories of the instance have together, and all tables.
    memory_bytes: usize,
    table_elements: usize,
    /// The size that was denied, if growth was denied since the last call began.
    pub(super) memory_denied: Option<usize>,
    /// The last error that the guest logged since the last call began: its panic message, if it
    /// panicked.
    pub(super) last_error: Option<String>,
    /// What the call that is under way holds back.
    pub(super) held: Vec<Held>,
    log: LogSink,
}

impl GuestState {
    pub(super) fn new(limits: &Limits, log: LogSink) -> Self {
        Self {
            memory_bytes_max: limits.memory_bytes,
            memory_bytes: 0,
            table_elements: 0,
            memory_denied: None,
            last_error: None,
            held: Vec::new(),
            log,
        }
    }
}

impl ResourceLimiter for GuestState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if exceeds(desired, maximum) {
            return Ok(false);
        }
        // A component may have several memories: the limit is that of all of them.
        let all = (self.memory_bytes - current).saturating_add(desired);
        let granted = all <= self.memory_bytes_max;
        if granted {
            self.memory_bytes = all;
        } else {
            self.memory_denied = Some(all);
        }
        Ok(granted)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let all = (self.table_elements - current).saturating_add(desired);
        let granted = !exceeds(desired, maximum) && all <= TABLE_ELEMENTS_MAX;
        if granted {
            self.table_elements = all;
        }
        Ok(granted)
    }

    fn instances(&self) -> usize {
        PARTS_MAX
    }

    fn tables(&self) -> usize {
        PARTS_MAX
    }

    fn memories(&self) -> usize {
        PARTS_MAX
    }
}

/// Whether something would outgrow what it says of itself: then it does not grow, and must not
/// count as if it did.
fn exceeds(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_some_and(|maximum| desired > maximum)
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

/// Elements of all tables of an instance. A table holds functions; no function of ours needs more
/// than a compiler makes.
const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// The most core instances that a component is made of, and the most memories and tables. Tools
/// that make components out of a language's modules need about five.
const PARTS_MAX: usize = 100;

/// What one import gives at most, whatever the function asks for.
const READ_BYTES_MAX: u32 = 1 << 20;

impl GuestState {
    fn held_list(&self, state: u32, key: u32) -> wasmtime::Result<&LongList> {
        match self.held_cell(state, key) {
            Some(HeldCell::List(list)) => Ok(list),
            _ => Err(not_held("list", state, key)),
        }
    }

    fn held_map(&self, state: u32, key: u32) -> wasmtime::Result<&LongMap> {
        match self.held_cell(state, key) {
            Some(HeldCell::Map(map)) => Ok(map),
            _ => Err(not_held("map", state, key)),
        }
    }

    /// They are in the order of their states and keys.
    fn held_cell(&self, state: u32, key: u32) -> Option<&HeldCell> {
        let at = self.held.binary_search_by_key(&(state, key), |held| (held.state, held.key));
        at.ok().map(|at| &self.held[at].cell)
    }
}

fn not_held(what: &str, state: u32, key: u32) -> wasmtime::Error {
    wasmtime::Error::msg(format!(
        "the function reads a {what} that the call has not held back: state {state} of key {key}"
    ))
}

fn packed(packed: Packed) -> types::PackedResult {
    types::PackedResult { bytes: packed.bytes, ends: packed.ends }
}

impl bindings::held_state::Host for GuestState {
    fn list_length(&mut self, state: u32, key: u32) -> wasmtime::Result<u64> {
        Ok(self.held_list(state, key)?.count() as u64)
    }

    fn list_read(
        &mut self,
        state: u32,
        key: u32,
        start: u64,
        bytes_max: u32,
    ) -> wasmtime::Result<types::PackedResult> {
        let list = self.held_list(state, key)?;
        let start = usize::try_from(start).unwrap_or(usize::MAX);
        Ok(packed(list.read(start, bytes_max.min(READ_BYTES_MAX) as usize)))
    }

    fn map_get(
        &mut self,
        state: u32,
        key: u32,
        map_keys: types::PackedResult,
    ) -> wasmtime::Result<(Vec<u8>, types::PackedResult)> {
        let map = self.held_map(state, key)?;
        let map_keys = effects::check_packed(map_keys, "the keys of a map").map_err(|problem| {
            wasmtime::Error::msg(format!("the function asks badly: {problem}"))
        })?;
        let (mut found, mut values) = (Vec::new(), Packed::default());
        for map_key in map_keys.iter() {
            let value = map.get(map_key);
            found.push(u8::from(value.is_some()));
            values.push(value.unwrap_or_default());
        }
        Ok((found, packed(values)))
    }

    fn map_scan(
        &mut self,
        state: u32,
        key: u32,
        after: Option<Vec<u8>>,
        bytes_max: u32,
    ) -> wasmtime::Result<bindings::held_state::Entries> {
        let map = self.held_map(state, key)?;
        let bytes_max = bytes_max.min(READ_BYTES_MAX) as usize;
        let (keys, values, more) = map.scan(after.as_deref(), bytes_max);
        let (keys, values) = (packed(keys), packed(values));
        Ok(bindings::held_state::Entries { keys, values, more })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_that_of_all_memories_together() {
        let limits = Limits { memory_bytes: 100, ..Limits::default() };
        let mut state = GuestState::new(&limits, LogSink::none());
        let mut grow = |from, to, most| {
            let granted = state.memory_growing(from, to, most).unwrap();
            (granted, state.memory_denied.take())
        };
        assert_eq!(grow(0, 60, None), (true, None));
        assert_eq!(grow(0, 41, None), (false, Some(101)), "a second memory");
        assert_eq!(grow(0, 30, None), (true, None));
        // What does not grow because it says so itself does not count.
        assert_eq!(grow(60, 70, Some(65)), (false, None));
        assert_eq!(grow(60, 70, Some(70)), (true, None));
        assert_eq!(grow(30, 31, None), (false, Some(101)));
        assert_eq!(grow(70, usize::MAX, None), (false, Some(usize::MAX)));
    }

    #[test]
    fn so_is_that_of_tables() {
        let mut state = GuestState::new(&Limits::default(), LogSink::none());
        assert!(state.table_growing(0, TABLE_ELEMENTS_MAX - 1, None).unwrap());
        assert!(!state.table_growing(0, 2, None).unwrap());
        assert!(state.table_growing(0, 1, None).unwrap());
    }
}
