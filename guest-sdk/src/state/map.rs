//! A map a key.

use std::marker::PhantomData;

use super::{StateValue, encoding};
use crate::context::{Context, HasKey};
use crate::error::Result;

/// State that holds a map a key. Made by [`Setup::map_state`](crate::Setup::map_state).
///
/// Iteration is in ascending order of the *encoded* keys. That is the same order on every run, but
/// not the order of the keys: integers of more than 7 bits come by their low bits first, text comes
/// by its length first. Sort what [`entries`](MapState::entries) gives where the order matters.
///
/// A map without entries and no map are the same.
pub struct MapState<K, V> {
    state: u32,
    _type: PhantomData<fn() -> (K, V)>,
}

impl<K, V> MapState<K, V> {
    pub(super) fn new(state: u32) -> Self {
        Self { state, _type: PhantomData }
    }

    /// Whether the key's map has no entry.
    pub fn is_empty<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> bool {
        let (cells, key) = ctx.map_cells(self.state);
        cells.entries(key).is_empty()
    }

    /// Removes all entries of the key's map.
    pub fn clear<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>) {
        let (cells, key) = ctx.map_cells_mut(self.state);
        cells.clear(key);
    }
}

impl<K: StateValue, V: StateValue> MapState<K, V> {
    /// The value under `map_key`.
    ///
    /// # Errors
    /// If what is stored is not a `V`, or the key cannot be encoded.
    pub fn get<O, C: HasKey>(&self, ctx: &Context<'_, O, C>, map_key: &K) -> Result<Option<V>> {
        let value = ctx.with_map_key(map_key, |map_key| {
            let (cells, key) = ctx.map_cells(self.state);
            cells.get(key, map_key).map(encoding::decode).transpose()
        });
        value.and_then(|value| value).map_err(|error| ctx.blame_state(self.state, error))
    }

    /// Whether there is a value under `map_key`.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn contains<O, C: HasKey>(&self, ctx: &Context<'_, O, C>, map_key: &K) -> Result<bool> {
        let found = ctx.with_map_key(map_key, |map_key| {
            let (cells, key) = ctx.map_cells(self.state);
            cells.get(key, map_key).is_some()
        });
        found.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// Sets the value under `map_key`. What is already there is not read.
    ///
    /// # Errors
    /// If the key or the value cannot be encoded; the map is then as before.
    pub fn put<O, C: HasKey>(
        &self,
        ctx: &mut Context<'_, O, C>,
        map_key: &K,
        value: &V,
    ) -> Result<()> {
        let (cells, key) = ctx.map_cells_mut(self.state);
        let put = cells.put(
            key,
            |out| encoding::encode(map_key, out),
            |out| encoding::encode(value, out),
        );
        put.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// Removes the entry of `map_key`, if there is one. What is already there is not read.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn remove<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>, map_key: &K) -> Result<()> {
        let (cells, key) = ctx.map_cells_mut(self.state);
        let removed = cells.remove(key, |out| encoding::encode(map_key, out));
        removed.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// All entries, ascending by their encoded keys.
    ///
    /// # Errors
    /// If what is stored is not a `K` or a `V`.
    pub fn entries<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Vec<(K, V)>> {
        let (cells, key) = ctx.map_cells(self.state);
        let entry = |(map_key, value)| Ok((encoding::decode(map_key)?, encoding::decode(value)?));
        let entries: Result<_> = cells.entries(key).into_iter().map(entry).collect();
        entries.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// All keys of the map, ascending by their encoding.
    ///
    /// # Errors
    /// If a key that is stored is not a `K`.
    pub fn keys<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Vec<K>> {
        let (cells, key) = ctx.map_cells(self.state);
        let keys: Result<_> =
            cells.entries(key).into_iter().map(|(map_key, _)| encoding::decode(map_key)).collect();
        keys.map_err(|error| ctx.blame_state(self.state, error))
    }
}
