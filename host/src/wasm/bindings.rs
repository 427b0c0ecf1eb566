//! The contract as Rust types, generated from `wit/` at compile time.
//!
//! Types that cross in both directions come twice: `…Param` borrows what the host sends, `…Result`
//! owns what the guest returns.

wasmtime::component::bindgen!({
    path: "../wit",
    world: "operator",
    imports: { "tidegate:function/held-state@0.1.0": trappable },
    ownership: Borrowing { duplicate_if_necessary: true },
});

pub use self::exports::tidegate::function::function::OpenContext;
pub use self::tidegate::function::{declarations, held_state, host, types};
