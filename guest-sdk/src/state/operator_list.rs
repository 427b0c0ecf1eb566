//! A list of the partition.

use std::borrow::Borrow;
use std::marker::PhantomData;

use super::{StateValue, encoding};
use crate::context::Context;
use crate::error::Result;

/// State that holds a list for the partition, whatever the key. Made by
/// [`Setup::operator_list_state`](crate::Setup::operator_list_state) and
/// [`Setup::union_list_state`](crate::Setup::union_list_state).
///
/// [list state]: super::ListState
#[doc = include_str!("../../../docs/state/operator-list.md")]
pub struct OperatorListState<T> {
    state: u32,
    _type: PhantomData<fn() -> T>,
}

impl<T> OperatorListState<T> {
    pub(super) fn new(state: u32) -> Self {
        Self { state, _type: PhantomData }
    }

    /// Whether there is no element.
    pub fn is_empty<O, C>(&self, ctx: &Context<'_, O, C>) -> bool {
        ctx.with_operator_list(self.state, |cells| cells.elements(0).next().is_none())
    }

    /// Removes all elements.
    pub fn clear<O, C>(&self, ctx: &mut Context<'_, O, C>) {
        ctx.with_operator_list(self.state, |cells| cells.clear(0));
    }
}

impl<T: StateValue> OperatorListState<T> {
    /// The elements in the order they were added. After a restore at another parallelism: in the
    /// order of the partitions that they were of.
    ///
    /// # Errors
    /// If an element that is stored is not a `T`.
    pub fn get<O, C>(&self, ctx: &Context<'_, O, C>) -> Result<Vec<T>> {
        let elements: Result<Vec<T>> = ctx.with_operator_list(self.state, |cells| {
            cells.elements(0).map(encoding::decode).collect()
        });
        elements.map_err(|error| ctx.blame_operator_state(self.state, error))
    }

    /// Adds an element at the end.
    ///
    /// # Errors
    /// If the element cannot be encoded; the list is then as before.
    pub fn add<O, C>(&self, ctx: &mut Context<'_, O, C>, element: &T) -> Result<()> {
        let added = ctx.with_operator_list(self.state, |cells| {
            cells.append(0, |out| encoding::encode(element, out))
        });
        added.map_err(|error| ctx.blame_operator_state(self.state, error))
    }

    /// Adds elements at the end.
    ///
    /// # Errors
    /// If an element cannot be encoded; those before it are then in the list.
    pub fn add_all<O, C>(
        &self,
        ctx: &mut Context<'_, O, C>,
        elements: impl IntoIterator<Item: Borrow<T>>,
    ) -> Result<()> {
        elements.into_iter().try_for_each(|element| self.add(ctx, element.borrow()))
    }

    /// Replaces the list.
    ///
    /// # Errors
    /// If an element cannot be encoded; those before it are then the list.
    pub fn update<O, C>(
        &self,
        ctx: &mut Context<'_, O, C>,
        elements: impl IntoIterator<Item: Borrow<T>>,
    ) -> Result<()> {
        self.clear(ctx);
        self.add_all(ctx, elements)
    }
}
