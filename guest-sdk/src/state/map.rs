//! A map a key.

use std::marker::PhantomData;

use super::ttl::{Lifetime, Moment, visible, write_stamp};
use super::{StateValue, encoding};
use crate::context::{Context, HasKey};
use crate::error::Result;

/// State that holds a map a key. Made by [`Setup::map_state`](crate::Setup::map_state).
///
/// [time to live]: super::Ttl
/// [keyed state]: crate#keyed-state
/// [timers]: crate::context::Timer
#[doc = include_str!("../../../docs/state/map.md")]
pub struct MapState<K, V> {
    state: u32,
    lifetime: Lifetime,
    _type: PhantomData<fn() -> (K, V)>,
}

impl<K, V> MapState<K, V> {
    pub(super) fn new(state: u32, lifetime: Lifetime) -> Self {
        Self { state, lifetime, _type: PhantomData }
    }

    /// Whether the key's map has no entry.
    pub fn is_empty<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> bool {
        self.read_all(ctx, |_, _| ()).next().is_none()
    }

    /// Removes all entries of the key's map.
    pub fn clear<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>) {
        let (cells, key) = ctx.map_cells_mut(self.state);
        cells.clear(key);
    }
}

impl<K, V> MapState<K, V> {
    /// Reads the entries that can be seen one by one, which is an access to all of them where reads
    /// are.
    fn read_all<O, C: HasKey, R>(
        &self,
        ctx: &Context<'_, O, C>,
        read: impl Fn(&[u8], &[u8]) -> R,
    ) -> impl Iterator<Item = R> {
        let (state, moment) = (self.state, self.lifetime.moment(ctx));
        let mut cursor = ctx.with_map_cells(state, |cells, key| {
            if let Some(moment) = moment.filter(Moment::counts_reads) {
                cells.access_all(key, moment);
            }
            cells.cursor(key)
        });
        std::iter::from_fn(move || {
            loop {
                let entry = ctx.with_map_cells(state, |cells, key| {
                    cells.next(state, key, &mut cursor, |map_key, stored| {
                        visible(stored, moment).map(|value| read(map_key, value))
                    })
                });
                if let Some(read) = entry? {
                    return Some(read);
                }
            }
        })
    }
}

impl<K: StateValue, V: StateValue> MapState<K, V> {
    /// Reads the value under `map_key`, which is an access to it where reads are.
    fn read<O, C: HasKey, T>(
        &self,
        ctx: &Context<'_, O, C>,
        map_key: &K,
        read: impl FnOnce(Option<&[u8]>) -> Result<T>,
    ) -> Result<T> {
        let moment = self.lifetime.moment(ctx);
        let value = ctx.with_map_key(map_key, |map_key| {
            ctx.with_map_cells(self.state, |cells, key| {
                cells.fetch(self.state, key, [map_key]);
                if let Some(moment) = moment.filter(Moment::counts_reads) {
                    cells.access(key, map_key, moment);
                }
                read(cells.get(key, map_key).and_then(|stored| visible(stored, moment)))
            })
        });
        value.and_then(|value| value).map_err(|error| ctx.blame_state(self.state, error))
    }

    /// The value under `map_key`.
    ///
    /// # Errors
    /// If what is stored is not a `V`, or the key cannot be encoded.
    pub fn get<O, C: HasKey>(&self, ctx: &Context<'_, O, C>, map_key: &K) -> Result<Option<V>> {
        self.read(ctx, map_key, |value| value.map(encoding::decode).transpose())
    }

    /// Whether there is a value under `map_key`.
    ///
    /// # Errors
    /// If the key cannot be encoded.
    pub fn contains<O, C: HasKey>(&self, ctx: &Context<'_, O, C>, map_key: &K) -> Result<bool> {
        self.read(ctx, map_key, |value| Ok(value.is_some()))
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
        let moment = self.lifetime.moment(ctx);
        let (cells, key) = ctx.map_cells_mut(self.state);
        let put = cells.put(
            key,
            |out| encoding::encode(map_key, out),
            |out| {
                write_stamp(moment, out);
                encoding::encode(value, out)
            },
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

    /// The values under some keys, in their order. Of a map that is too long to come with the batch
    /// all of them are read at once.
    ///
    /// # Errors
    /// If what is stored is not a `V`, or a key cannot be encoded.
    pub fn get_many<O, C: HasKey>(
        &self,
        ctx: &Context<'_, O, C>,
        map_keys: &[K],
    ) -> Result<Vec<Option<V>>> {
        let encode = |map_key| {
            let mut bytes = Vec::new();
            encoding::encode(map_key, &mut bytes).map(|()| bytes)
        };
        let encoded: Result<Vec<Vec<u8>>> = map_keys.iter().map(encode).collect();
        let encoded = encoded.map_err(|error| ctx.blame_state(self.state, error))?;
        ctx.with_map_cells(self.state, |cells, key| {
            cells.fetch(self.state, key, encoded.iter().map(Vec::as_slice));
        });
        map_keys.iter().map(|map_key| self.get(ctx, map_key)).collect()
    }

    /// The entries one by one, ascending by their encoded keys. A map that is too long to come with
    /// the batch is read in pieces, so that it need not fit the function's memory.
    ///
    /// What is not a `K` or a `V` is an error.
    pub fn iter<O, C: HasKey>(
        &self,
        ctx: &Context<'_, O, C>,
    ) -> impl Iterator<Item = Result<(K, V)>> {
        let decode = |map_key: &[u8], value: &[u8]| {
            Ok((encoding::decode(map_key)?, encoding::decode(value)?))
        };
        let blame = |error| ctx.blame_state(self.state, error);
        self.read_all(ctx, decode).map(move |entry: Result<(K, V)>| entry.map_err(blame))
    }

    /// All entries, ascending by their encoded keys.
    ///
    /// # Errors
    /// If what is stored is not a `K` or a `V`.
    pub fn entries<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Vec<(K, V)>> {
        self.iter(ctx).collect()
    }

    /// What `read` makes of each key and the bytes of its value, ascending by the encoded keys.
    pub(crate) fn scan<O, C: HasKey, T>(
        &self,
        ctx: &Context<'_, O, C>,
        read: impl Fn(K, &[u8]) -> Result<T>,
    ) -> Result<Vec<T>> {
        let entry = |map_key: &[u8], value: &[u8]| read(encoding::decode(map_key)?, value);
        let entries: Result<_> = self.read_all(ctx, entry).collect();
        entries.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// All keys of the map, ascending by their encoding.
    ///
    /// # Errors
    /// If a key that is stored is not a `K`.
    pub fn keys<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Vec<K>> {
        let keys: Result<_> = self.read_all(ctx, |map_key, _| encoding::decode(map_key)).collect();
        keys.map_err(|error| ctx.blame_state(self.state, error))
    }
}
