//! From the contract's calls to the functions of authors. Nothing here is for authors.
//!
//! ```text
//!   host ── describe, open, process, fire, poll, close ──> component ──> Instance ──> Operator
//!           describe-migrations, migrate                  (export!)          an adaptor a kind
//! ```
//!
//! A new kind of function is one adaptor: a type that implements [`Adaptor`] (what it declares, how
//! it is made) and [`Operator`] (what a batch does), and one arm of [`export!`](crate::export).

mod broadcast_process;
mod call;
mod component;
mod drive;
mod flat_map_with_state;
mod instance;
mod keyed_broadcast_process;
mod keyed_by;
mod keyed_co_process;
mod keyed_process;
mod migrate;
#[cfg(not(target_family = "wasm"))]
mod native;
mod operator;
mod process;
mod reduce;
mod rich_filter;
mod rich_flat_map;
mod rich_map;
mod rolling_aggregate;
mod sink;
mod source;
mod window;

pub use broadcast_process::BroadcastProcess;
pub use component::check;
#[cfg(target_family = "wasm")]
pub use component::{
    close, describe, describe_migrations, extract_keys, fire, hook_panics, migrate, open, poll,
    process,
};
pub use flat_map_with_state::FlatMapWithState;
pub use keyed_broadcast_process::KeyedBroadcastProcess;
pub use keyed_by::KeyedBy;
pub use keyed_co_process::KeyedCoProcess;
pub use keyed_process::KeyedProcess;
pub use operator::{Adaptor, Operator, Shape};
pub use process::Process;
pub use reduce::Reduce;
pub use rich_filter::RichFilter;
pub use rich_flat_map::RichFlatMap;
pub use rich_map::RichMap;
pub use rolling_aggregate::RollingAggregate;
pub use sink::Sink;
pub use source::Source;
pub use window::Window;

pub(crate) use call::Call;
#[cfg(not(target_family = "wasm"))]
pub use instance::Instance;
#[cfg(not(target_family = "wasm"))]
pub(crate) use instance::describe;
#[cfg(not(target_family = "wasm"))]
pub use native::Native;

#[cfg(test)]
mod tests;
