//! A list a key.

use std::borrow::Borrow;
use std::marker::PhantomData;
use std::ops::Range;

use super::ttl::{Lifetime, Moment, visible, write_stamp};
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
        self.read(ctx, |_| ()).next().is_none()
    }

    /// How many elements the key has. Costs as much as reading them if they have a time to live.
    pub fn len<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> usize {
        match self.lifetime.moment(ctx) {
            Some(_) => self.read(ctx, |_| ()).count(),
            None => ctx.with_list_cells(self.state, |cells, key| cells.count(self.state, key)),
        }
    }

    /// Reads the elements that can be seen one by one, which is an access to all of them where
    /// reads are.
    fn read<O, C: HasKey, R>(
        &self,
        ctx: &Context<'_, O, C>,
        read: impl Fn(&[u8]) -> R,
    ) -> impl Iterator<Item = R> {
        let (state, moment) = (self.state, self.lifetime.moment(ctx));
        let mut cursor = ctx.with_list_cells(state, |cells, key| {
            if let Some(moment) = moment.filter(Moment::counts_reads) {
                cells.access(key, moment);
            }
            cells.cursor(key)
        });
        std::iter::from_fn(move || {
            loop {
                let element = ctx.with_list_cells(state, |cells, key| {
                    cells.next(state, key, &mut cursor, |stored| visible(stored, moment).map(&read))
                });
                if let Some(read) = element? {
                    return Some(read);
                }
            }
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
        self.iter(ctx).collect()
    }

    /// The elements of the key one by one, in the order they were added. A list that is too long to
    /// come with the batch is read in pieces, so that it need not fit the function's memory.
    ///
    /// An element that is not a `T` is an error.
    pub fn iter<O, C: HasKey>(&self, ctx: &Context<'_, O, C>) -> impl Iterator<Item = Result<T>> {
        let blame = |error| ctx.blame_state(self.state, error);
        self.read(ctx, encoding::decode).map(move |element: Result<T>| element.map_err(blame))
    }

    /// Elements `range` of the key, counted from 0; those that there are. What comes before them in
    /// a list that is too long to come with the batch is not read.
    ///
    /// # Errors
    /// If an element that is stored is not a `T`.
    pub fn slice<O, C: HasKey>(
        &self,
        ctx: &Context<'_, O, C>,
        range: Range<usize>,
    ) -> Result<Vec<T>> {
        if self.lifetime.moment(ctx).is_some() {
            return self.iter(ctx).skip(range.start).take(range.len()).collect();
        }
        let state = self.state;
        let (mut cursor, skip) = ctx.with_list_cells(state, |cells, key| {
            let mut cursor = cells.cursor(key);
            let left = cells.skip(state, key, &mut cursor, range.start);
            (cursor, left)
        });
        let elements = std::iter::from_fn(|| {
            ctx.with_list_cells(state, |cells, key| {
                cells.next(state, key, &mut cursor, |stored| encoding::decode(stored))
            })
        });
        let elements: Result<Vec<T>> = elements.skip(skip).take(range.len()).collect();
        elements.map_err(|error| ctx.blame_state(state, error))
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
