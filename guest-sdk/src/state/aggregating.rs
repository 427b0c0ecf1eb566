//! One accumulator a key, of all values that were added.

use super::{StateValue, ValueState};
use crate::context::{Context, HasKey};
use crate::error::Result;

/// How an [`AggregatingState`] aggregates; there is an example.
pub trait AggregateFunction: 'static {
    /// What is added.
    type In;
    /// What is kept.
    type Acc: StateValue;
    /// What is asked for.
    type Out;

    /// The accumulator of no values.
    fn create_accumulator(&self) -> Self::Acc;

    /// The accumulator with one value more.
    fn add(&self, value: Self::In, accumulator: Self::Acc) -> Self::Acc;

    /// The result of what was accumulated, at least one value.
    fn get_result(&self, accumulator: Self::Acc) -> Self::Out;
}

/// State that holds the accumulator of all values added to a key. Made by
/// [`Setup::aggregating_state`](crate::Setup::aggregating_state).
///
/// [keyed state]: crate#keyed-state
/// [value state]: super::ValueState
/// [list state]: super::ListState
/// [windows]: crate::window
#[doc = include_str!("../../../docs/state/aggregating.md")]
pub struct AggregatingState<A: AggregateFunction> {
    accumulator: ValueState<A::Acc>,
    function: A,
}

impl<A: AggregateFunction> AggregatingState<A> {
    pub(super) fn new(accumulator: ValueState<A::Acc>, function: A) -> Self {
        Self { accumulator, function }
    }

    /// Adds a value to the key.
    ///
    /// # Errors
    /// If what is stored is not an accumulator, or the new one cannot be encoded.
    pub fn add<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>, value: A::In) -> Result<()> {
        let before = self.accumulator.value(ctx)?;
        let before = before.unwrap_or_else(|| self.function.create_accumulator());
        self.accumulator.update(ctx, &self.function.add(value, before))
    }

    /// The result of all values added to the key, None if there were none.
    ///
    /// # Errors
    /// If what is stored is not an accumulator.
    pub fn get<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Option<A::Out>> {
        Ok(self.accumulator.value(ctx)?.map(|accumulator| self.function.get_result(accumulator)))
    }

    /// Forgets all that was added to the key.
    pub fn clear<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>) {
        self.accumulator.clear(ctx);
    }
}
