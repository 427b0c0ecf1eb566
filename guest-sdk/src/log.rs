//! Lines in the job's log.
//!
//! The host adds the operator's id and the partition, and may drop lines past a rate. Under
//! `cargo test` lines go to stderr, which the test runner shows with a failing test.
//!
//! ```
//! use tidegate_sdk::log;
//!
//! log::warn(format_args!("no price for {}", "apple"));
//! ```

use std::fmt::Display;

/// Writes a line for those who debug the function.
pub fn debug(message: impl Display) {
    write(Level::Debug, &message);
}

/// Writes a line that is worth knowing.
pub fn info(message: impl Display) {
    write(Level::Info, &message);
}

/// Writes a line about something that may be wrong.
pub fn warn(message: impl Display) {
    write(Level::Warn, &message);
}

/// Writes a line about something that is wrong.
pub fn error(message: impl Display) {
    write(Level::Error, &message);
}

#[derive(Clone, Copy, Debug)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &dyn Display) {
    use crate::bindings::tidegate::function::host;
    let level = match level {
        Level::Debug => host::Level::Debug,
        Level::Info => host::Level::Info,
        Level::Warn => host::Level::Warn,
        Level::Error => host::Level::Error,
    };
    host::log(level, &message.to_string());
}

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &dyn Display) {
    eprintln!("{level:?}: {message}");
}
