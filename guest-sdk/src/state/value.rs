//! One value a key.

use std::marker::PhantomData;

use super::{StateValue, encoding};
use crate::context::{Context, HasKey};
use crate::error::Result;

/// State that holds one value a key. Made by [`Setup::value_state`](crate::Setup::value_state).
pub struct ValueState<T> {
    state: u32,
    _type: PhantomData<fn() -> T>,
}

impl<T> ValueState<T> {
    pub(super) fn new(state: u32) -> Self {
        Self { state, _type: PhantomData }
    }

    /// Removes the value of the key.
    #[inline]
    pub fn clear<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>) {
        let (cells, key) = ctx.value_cells_mut(self.state);
        cells.clear(key);
    }
}

impl<T: StateValue> ValueState<T> {
    /// The value of the key, None if there is none.
    ///
    /// # Errors
    /// If what is stored is not a `T`.
    #[inline]
    pub fn value<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Option<T>> {
        let (cells, key) = ctx.value_cells(self.state);
        let Some(bytes) = cells.get(key) else { return Ok(None) };
        encoding::decode(bytes).map(Some).map_err(|error| ctx.blame_state(self.state, error))
    }

    /// Sets the value of the key.
    ///
    /// # Errors
    /// If the value cannot be encoded; the state is then as before.
    #[inline]
    pub fn update<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>, value: &T) -> Result<()> {
        let (cells, key) = ctx.value_cells_mut(self.state);
        let put = cells.put(key, |out| encoding::encode(value, out));
        put.map_err(|error| ctx.blame_state(self.state, error))
    }
}
