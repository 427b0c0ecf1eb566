//! Windows.

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
