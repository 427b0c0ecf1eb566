//! From the contract's calls to the functions of authors. Nothing here is for authors.
//!
//! ```text
//!   host ── describe, open, process, fire, close ──> component ──> Instance ──> Operator
//!                                                     (export!)                 an adaptor a kind
//! ```
//!
//! A new kind of function is one adaptor: a type that implements [`Adaptor`] (what it declares, how
//! it is made) and [`Operator`] (what a batch does), and one arm of [`export!`](crate::export).

mod call;
mod component;
mod drive;
mod instance;
mod keyed_by;
mod keyed_co_process;
mod keyed_process;
mod operator;
mod process;
mod rich_flat_map;
mod rich_map;
mod window;

pub use component::check;
#[cfg(target_family = "wasm")]
pub use component::{close, describe, extract_keys, fire, hook_panics, open, process};
pub use keyed_by::KeyedBy;
pub use keyed_co_process::KeyedCoProcess;
pub use keyed_process::KeyedProcess;
pub use operator::{Adaptor, Operator, Shape};
pub use process::Process;
pub use rich_flat_map::RichFlatMap;
pub use rich_map::RichMap;
pub use window::Window;

pub(crate) use call::Call;
#[cfg(not(target_family = "wasm"))]
pub(crate) use instance::{Instance, describe};

#[cfg(test)]
mod tests;
