//! An in-memory host for tests of functions under plain `cargo test`. Not compiled for wasm.
//!
//! A [`Harness`] packs records as the contract says, calls the function by the same code that a
//! component runs, checks the effects and applies them. There is no parallelism and no sandbox in
//! it.
//!
//! ```
//! use tidegate_sdk::prelude::*;
//! use tidegate_sdk::testing::Harness;
//!
//! struct Count(ValueState<u64>);
//!
//! impl RichMapFunction for Count {
//!     type In<'a> = &'a str;
//!     type Out = String;
//!
//!     fn open(setup: &mut Setup) -> Result<Self> {
//!         Ok(Self(setup.value_state("count")))
//!     }
//!     fn map(&mut self, word: &str, ctx: &mut MapContext<'_>) -> Result<String> {
//!         let count = self.0.value(ctx)?.unwrap_or(0) + 1;
//!         self.0.update(ctx, &count)?;
//!         Ok(format!("{word} {count}"))
//!     }
//! }
//!
//! let mut count = Harness::rich_map::<Count>().open()?;
//! count.push("a", "apple", 1_000)?;
//! count.push("b", "banana", 2_000)?;
//! count.push("a", "apple", 3_000)?;
//! assert_eq!(count.take_output(), ["apple 1", "banana 1", "apple 2"]);
//! assert_eq!(count.value_state::<u64>("count", "a")?, Some(2));
//! # Ok::<(), Error>(())
//! ```

mod builder;
mod fault;
mod harness;
mod inspect;
mod kinds;
mod migrate;
mod pack;
mod store;
mod validate;

pub use builder::Builder;
pub use fault::{Fault, FaultKind};
pub use harness::Harness;
pub use kinds::{
    WithBroadcast, WithKeys, WithKeysAndBroadcast, WithTwoInputs, WithoutInput, WithoutKeys,
};

#[cfg(test)]
mod tests;
