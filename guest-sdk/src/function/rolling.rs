//! Functions that fold the records of a key and tell the result with each of them.

use crate::codec::{Decode, Encode};
use crate::error::Result;
use crate::setup::Setup;
use crate::state::StateValue;

/// A function that makes one value of two, and sends out the reduction of all records of the key so
/// far with each of them: Flink's `KeyedStream.reduce`.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// /// The highest bid of each item.
/// struct Highest;
///
/// impl ReduceFunction for Highest {
///     type Value = Csv<(String, u64)>;
///
///     fn open(_setup: &mut Setup) -> Result<Self> {
///         Ok(Highest)
///     }
///
///     fn reduce(&mut self, before: Self::Value, value: Self::Value) -> Result<Self::Value> {
///         Ok(if value.0.1 > before.0.1 { value } else { before })
///     }
/// }
///
/// # fn main() -> Result<()> {
/// use tidegate_sdk::testing::Harness;
///
/// let mut highest = Harness::reduce::<Highest>().open()?;
/// highest.push("pen", "ann,5", 0)?;
/// highest.push("pen", "bob,4", 0)?;
/// assert_eq!(highest.take_output(), ["ann,5", "ann,5"]);
/// # Ok(())
/// # }
/// ```
///
/// Exported with `tidegate_sdk::export!(reduce: MyFunction)`. The state is named `reduced`.
pub trait ReduceFunction: Sized + 'static {
    /// What a record is read into, what is kept, and what goes to the main output.
    type Value: for<'a> Decode<'a> + Encode + StateValue;

    /// Reads parameters.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// The reduction of all records `before` and one `value` more. The first record of a key is its
    /// own reduction.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn reduce(&mut self, before: Self::Value, value: Self::Value) -> Result<Self::Value>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// A function that adds the records of a key to an accumulator, and sends out the result so far
/// with each of them: Flink's `AggregateFunction` on a keyed stream.
///
/// For aggregates that are asked for at other times, use
/// [`AggregatingState`](crate::state::AggregatingState); for those of a window, a window function.
///
/// Exported with `tidegate_sdk::export!(aggregate: MyFunction)`. The state is named `accumulator`.
pub trait RollingAggregateFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What a key keeps.
    type Acc: StateValue;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// The accumulator of no records.
    fn create_accumulator(&self) -> Self::Acc;

    /// The accumulator with one record more.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn add(&mut self, value: Self::In<'_>, accumulator: Self::Acc) -> Result<Self::Acc>;

    /// The result of what was accumulated, at least one record.
    ///
    /// # Errors
    /// As for [`add`](Self::add).
    fn get_result(&mut self, accumulator: Self::Acc) -> Result<Self::Out>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}
