//! Windows: [`WindowFunction`] and the [`Windows`] it asks for.
//!
//! ```text
//!   WindowFunction, Windows          what an author writes
//!   operator                         all kinds behind one face; runtime/window.rs calls it
//!   timed = windows + clock + panes  which windows, when they fire, where their state is
//! ```
//!
//! What follows is `docs/windows.md` of the repository.
//!
#![doc = include_str!("../../../docs/windows.md")]

mod clock;
mod function;
mod operator;
mod panes;
mod time_window;
mod timed;
mod windows;

pub use function::WindowFunction;
pub use time_window::TimeWindow;
pub use windows::Windows;

pub(crate) use operator::{LATE, Operator as WindowOperator};

#[cfg(test)]
mod tests;
