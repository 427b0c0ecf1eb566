//! One value a key, reduced from all that were added.

use super::{StateValue, ValueState};
use crate::context::{Context, HasKey};
use crate::error::Result;

/// State that holds all values added to a key, reduced to one. Made by
/// [`Setup::reducing_state`](crate::Setup::reducing_state).
///
/// [keyed state]: crate#keyed-state
/// [aggregating state]: super::AggregatingState
/// [value state]: super::ValueState
/// [list state]: super::ListState
#[doc = include_str!("../../../docs/state/reducing.md")]
pub struct ReducingState<T> {
    reduced: ValueState<T>,
    reduce: Box<dyn Fn(T, T) -> T>,
}

impl<T> ReducingState<T> {
    pub(super) fn new(reduced: ValueState<T>, reduce: Box<dyn Fn(T, T) -> T>) -> Self {
        Self { reduced, reduce }
    }

    /// Forgets all that was added to the key.
    pub fn clear<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>) {
        self.reduced.clear(ctx);
    }
}

impl<T: StateValue> ReducingState<T> {
    /// Adds a value to the key.
    ///
    /// # Errors
    /// If what is stored is not a `T`, or the value cannot be encoded.
    pub fn add<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>, value: T) -> Result<()> {
        let reduced = match self.reduced.value(ctx)? {
            Some(before) => (self.reduce)(before, value),
            None => value,
        };
        self.reduced.update(ctx, &reduced)
    }

    /// The reduction of all values added to the key, None if there were none.
    ///
    /// # Errors
    /// If what is stored is not a `T`.
    pub fn get<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Option<T>> {
        self.reduced.value(ctx)
    }
}
