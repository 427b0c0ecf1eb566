//! A list a key.

use std::borrow::Borrow;
use std::marker::PhantomData;

use super::ttl::{Lifetime, visible, write_stamp};
use super::{StateValue, encoding};
use crate::context::{Context, HasKey};
use crate::error::Result;

/// State that holds a list a key. Made by [`Setup::list_state`](crate::Setup::list_state).
///
/// [time to live]: super::Ttl
/// [keyed state]: crate#keyed-state
/// [reducing state]: super::ReducingState
/// [aggregating state]: super::AggregatingState
/// [map state]: super::MapState
/// [operator list state]: super::OperatorListState
#[doc = include_str!("../../../docs/state/list.md")]
pub struct ListState<T> {
    state: u32,
    lifetime: Lifetime,
    _type: PhantomData<fn() -> T>,
}

impl<T> ListState<T> {
    pub(super) fn new(state: u32, lifetime: Lifetime) -> Self {
        Self { state, lifetime, _type: PhantomData }
    }

    /// Whether the key has no element.
    pub fn is_empty<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> bool {
        let moment = self.lifetime.moment(ctx);
        ctx.with_list_cells(self.state, |cells, key| {
            !cells.read(key, moment).any(|stored| visible(stored, moment).is_some())
        })
    }

    /// Removes all elements of the key.
    pub fn clear<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>) {
        let (cells, key) = ctx.list_cells_mut(self.state);
        cells.clear(key);
    }
}

impl<T: StateValue> ListState<T> {
    /// The elements of the key in the order they were added.
    ///
    /// # Errors
    /// If an element that is stored is not a `T`.
    pub fn get<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> Result<Vec<T>> {
        let moment = self.lifetime.moment(ctx);
        let elements: Result<Vec<T>> = ctx.with_list_cells(self.state, |cells, key| {
            let elements = cells.read(key, moment).filter_map(|stored| visible(stored, moment));
            elements.map(encoding::decode).collect()
        });
        elements.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// Adds an element at the end. What is already there is not read, so this costs the same for
    /// any list.
    ///
    /// # Errors
    /// If the element cannot be encoded; the list is then as before.
    pub fn add<O, C: HasKey>(&self, ctx: &mut Context<'_, O, C>, element: &T) -> Result<()> {
        let moment = self.lifetime.moment(ctx);
        let (cells, key) = ctx.list_cells_mut(self.state);
        let added = cells.append(key, |out| {
            write_stamp(moment, out);
            encoding::encode(element, out)
        });
        added.map_err(|error| ctx.blame_state(self.state, error))
    }

    /// Adds elements at the end.
    ///
    /// # Errors
    /// If an element cannot be encoded; those before it are then in the list.
    pub fn add_all<O, C: HasKey>(
        &self,
        ctx: &mut Context<'_, O, C>,
        elements: impl IntoIterator<Item: Borrow<T>>,
    ) -> Result<()> {
        elements.into_iter().try_for_each(|element| self.add(ctx, element.borrow()))
    }

    /// Replaces the list of the key.
    ///
    /// # Errors
    /// If an element cannot be encoded; those before it are then the list.
    pub fn update<O, C: HasKey>(
        &self,
        ctx: &mut Context<'_, O, C>,
        elements: impl IntoIterator<Item: Borrow<T>>,
    ) -> Result<()> {
        self.clear(ctx);
        self.add_all(ctx, elements)
    }
}
