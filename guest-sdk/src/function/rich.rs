//! Functions on records with keys that need no timers.

use crate::codec::{Decode, Encode};
use crate::context::{FlatMapContext, MapContext};
use crate::error::Result;
use crate::setup::Setup;
use crate::state::StateValue;

/// A function on records with keys that makes any number of records of one, with state for each
/// key.
///
/// Exported with `tidegate_sdk::export!(rich_flat_map: MyFunction)`.
pub trait RichFlatMapFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Processes a record.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn flat_map(
        &mut self,
        value: Self::In<'_>,
        ctx: &mut FlatMapContext<'_, Self::Out>,
    ) -> Result<()>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// A function on records with keys that makes one record of one, with state for each key.
///
/// Exported with `tidegate_sdk::export!(rich_map: MyFunction)`.
pub trait RichMapFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Makes the record that goes to the main output.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn map(&mut self, value: Self::In<'_>, ctx: &mut MapContext<'_>) -> Result<Self::Out>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// A function on records with keys that lets records pass or not, with state for each key.
///
/// What passes is the record as it came.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// /// The first record of each key.
/// struct Distinct {
///     seen: ValueState<bool>,
/// }
///
/// impl RichFilterFunction for Distinct {
///     type In<'a> = &'a str;
///
///     fn open(setup: &mut Setup) -> Result<Self> {
///         Ok(Self { seen: setup.value_state("seen") })
///     }
///
///     fn filter(&mut self, _: &str, ctx: &mut MapContext<'_>) -> Result<bool> {
///         let is_new = self.seen.value(ctx)?.is_none();
///         self.seen.update(ctx, &true)?;
///         Ok(is_new)
///     }
/// }
///
/// # fn main() -> Result<()> {
/// use tidegate_sdk::testing::Harness;
///
/// let mut distinct = Harness::rich_filter::<Distinct>().open()?;
/// distinct.push("a", "first a", 0)?;
/// distinct.push("a", "second a", 0)?;
/// distinct.push("b", "first b", 0)?;
/// assert_eq!(distinct.take_output(), ["first a", "first b"]);
/// # Ok(())
/// # }
/// ```
///
/// Exported with `tidegate_sdk::export!(rich_filter: MyFunction)`.
pub trait RichFilterFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;

    /// Reads parameters and declares states and outputs, the same whatever the parameters are.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Whether the record passes.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn filter(&mut self, value: Self::In<'_>, ctx: &mut MapContext<'_>) -> Result<bool>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}

/// What goes to the main output, and what the key keeps; None = nothing.
pub type Mapped<Out, State> = (Vec<Out>, Option<State>);

/// A function from a record and the state of its key to records and the new state: Flink's
/// `flatMapWithState` of the Scala API.
///
/// Exported with `tidegate_sdk::export!(flat_map_with_state: MyFunction)`. The state is named
/// `state`.
pub trait FlatMapWithStateFunction: Sized + 'static {
    /// What a record is read into; it may borrow from the batch.
    type In<'a>: Decode<'a>;
    /// What a key keeps.
    type State: StateValue;
    /// What goes to the main output.
    type Out: Encode;

    /// Reads parameters.
    ///
    /// # Errors
    /// An error refuses the job. `open` must succeed on the defaults of all parameters.
    fn open(setup: &mut Setup) -> Result<Self>;

    /// Gives what goes to the main output, and what the key keeps; None = nothing. `state` is what
    /// it has kept.
    ///
    /// # Errors
    /// An error makes the job's `on_fault` policy decide; nothing of the batch's effects is
    /// applied.
    fn flat_map_with_state(
        &mut self,
        value: Self::In<'_>,
        state: Option<Self::State>,
    ) -> Result<Mapped<Self::Out, Self::State>>;

    /// The partition ends in good order. Not called after a fault.
    fn close(&mut self) {}
}
