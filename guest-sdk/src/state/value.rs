//! One value a key.

use std::marker::PhantomData;

use super::ttl::{Lifetime, write_stamp};
use super::{StateValue, encoding};
use crate::context::{Context, HasKey};
use crate::error::Result;

/// State that holds one value a key. Made by [`Setup::value_state`](crate::Setup::value_state).
///
/// [time to live]: super::Ttl
/// [keyed state]: crate#keyed-state
/// [list state]: super::ListState
/// [map state]: super::MapState
#[doc = include_str!("../../../docs/state/value.md")]
pub struct ValueState<T> {
    state: u32,
    lifetime: Lifetime,
    _type: PhantomData<fn() -> T>,
}

impl<T> ValueState<T> {
    pub(super) fn new(state: u32, lifetime: Lifetime) -> Self {
        Self { state, lifetime, _type: PhantomData }
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
        let moment = self.lifetime.moment(ctx);
        let value = ctx.with_value_cells(self.state, |cells, key| {
            cells.read(key, moment).map(encoding::decode).transpose()
        });
        value.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// Sets the value of the key.
    ///
    /// # Errors
    /// If the value cannot be encoded; the state is then as before.
    #[inline]
    pub fn update<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>, value: &T) -> Result<()> {
        let moment = self.lifetime.moment(ctx);
        let (cells, key) = ctx.value_cells_mut(self.state);
        let put = cells.put(key, |out| {
            write_stamp(moment, out);
            encoding::encode(value, out)
        });
        put.map_err(|error| ctx.blame_state(self.state, error))
    }
}
