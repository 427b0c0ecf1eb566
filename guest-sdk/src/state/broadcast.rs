//! A map that is the same in all partitions.

use std::marker::PhantomData;

use super::{StateValue, encoding};
use crate::context::{BroadcastContext, Context};
use crate::error::Result;

/// State that holds a map which all partitions have alike. Made by
/// [`Setup::broadcast_state`](crate::Setup::broadcast_state).
///
/// [map state]: super::MapState
#[doc = include_str!("../../../docs/state/broadcast.md")]
pub struct BroadcastState<K, V> {
    state: u32,
    _type: PhantomData<fn() -> (K, V)>,
}

impl<K: StateValue, V: StateValue> BroadcastState<K, V> {
    pub(super) fn new(state: u32) -> Self {
        Self { state, _type: PhantomData }
    }

    /// The value under `map_key`.
    ///
    /// # Errors
    /// If what is stored is not a `V`, or the key cannot be encoded.
    pub fn get<O, C>(&self, ctx: &Context<'_, O, C>, map_key: &K) -> Result<Option<V>> {
        self.read(ctx, map_key, |value| value.map(encoding::decode).transpose())
    }

    /// Whether there is a value under `map_key`.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn contains<O, C>(&self, ctx: &Context<'_, O, C>, map_key: &K) -> Result<bool> {
        self.read(ctx, map_key, |value| Ok(value.is_some()))
    }

    /// All entries, ascending by their encoded keys.
    ///
    /// # Errors
    /// If what is stored is not a `K` or a `V`.
    pub fn entries<O, C>(&self, ctx: &Context<'_, O, C>) -> Result<Vec<(K, V)>> {
        let entry = |(map_key, value): (&[u8], &[u8])| {
            Ok((encoding::decode(map_key)?, encoding::decode(value)?))
        };
        let entries: Result<_> = ctx.with_operator_map(self.state, |cells| {
            cells.entries(0).into_iter().map(entry).collect()
        });
        entries.map_err(|error| ctx.blame_operator_state(self.state, error))
    }

    /// Sets the value under `map_key`.
    ///
    /// # Errors
    /// If the key or the value cannot be encoded; the map is then as before.
    pub fn put<O>(&self, ctx: &mut BroadcastContext<'_, O>, map_key: &K, value: &V) -> Result<()> {
        let put = ctx.with_operator_map(self.state, |cells| {
            cells.put(0, |out| encoding::encode(map_key, out), |out| encoding::encode(value, out))
        });
        put.map_err(|error| ctx.blame_operator_state(self.state, error))
    }

    /// Removes the entry of `map_key`, if there is one.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn remove<O>(&self, ctx: &mut BroadcastContext<'_, O>, map_key: &K) -> Result<()> {
        let removed = ctx.with_operator_map(self.state, |cells| {
            cells.remove(0, |out| encoding::encode(map_key, out))
        });
        removed.map_err(|error| ctx.blame_operator_state(self.state, error))
    }

    /// Removes all entries.
    pub fn clear<O>(&self, ctx: &mut BroadcastContext<'_, O>) {
        ctx.with_operator_map(self.state, |cells| cells.clear(0));
    }

    fn read<O, C, T>(
        &self,
        ctx: &Context<'_, O, C>,
        map_key: &K,
        read: impl FnOnce(Option<&[u8]>) -> Result<T>,
    ) -> Result<T> {
        let value = ctx.with_map_key(map_key, |map_key| {
            ctx.with_operator_map(self.state, |cells| read(cells.get(0, map_key)))
        });
        value.and_then(|value| value).map_err(|error| ctx.blame_operator_state(self.state, error))
    }
}
