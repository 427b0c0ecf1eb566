//! The set-up of a [`Harness`].

use std::marker::PhantomData;

use super::fault::Fault;
use super::harness::Harness;
use crate::bindings::exports::tidegate::function::function::OpenContext;
use crate::bindings::tidegate::function::declarations::Declaration;
use crate::bindings::tidegate::function::types;
use crate::error::{Error, Result};
use crate::runtime::{self, Adaptor, Instance};

/// A function that is about to be opened. Made by [`Harness::keyed_process`] and the like.
#[must_use = "a harness does nothing before `open`"]
pub struct Builder<M> {
    describe: fn() -> Result<Declaration>,
    pub(super) open: fn(OpenContext) -> Result<Instance, types::Fault>,
    pub(super) context: OpenContext,
    pub(super) are_timers_batched: bool,
    pub(super) whole_state_bytes: usize,
    _mode: PhantomData<M>,
}

impl<M> Builder<M> {
    pub(super) fn new<A: Adaptor>() -> Self {
        let context = OpenContext {
            operator: "test".to_owned(),
            partition: 0,
            parallelism: 1,
            parameters: Vec::new(),
            ttl: Vec::new(),
        };
        Self {
            describe: runtime::describe::<A>,
            open: Instance::open::<A>,
            context,
            are_timers_batched: false,
            whole_state_bytes: usize::MAX,
            _mode: PhantomData,
        }
    }

    /// Sets a parameter to a text, as a job file does.
    pub fn param(mut self, name: &str, text: &str) -> Self {
        self.context.parameters.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Makes this partition `partition` of `parallelism`; 0 of 1 unless set.
    pub fn partition(mut self, partition: u32, parallelism: u32) -> Self {
        self.context.partition = partition;
        self.context.parallelism = parallelism;
        self
    }

    /// Fires due timers of different keys in one call, where otherwise each has its own.
    pub fn batch_timers(mut self) -> Self {
        self.are_timers_batched = true;
        self
    }

    /// Lets lists and maps of more bytes be read in pieces, as a host does with long ones; none
    /// unless set.
    pub fn whole_state_bytes(mut self, bytes: usize) -> Self {
        self.whole_state_bytes = bytes;
        self
    }

    /// Opens the function.
    ///
    /// # Errors
    /// If the function cannot be described, does not declare a parameter, or refuses to open.
    pub fn open(mut self) -> Result<Harness<M>> {
        let declaration = (self.describe)()?;
        self.context.ttl = declaration.states.iter().map(|state| state.ttl).collect();
        for (name, _) in &self.context.parameters {
            if !declaration.parameters.iter().any(|declared| declared.name == *name) {
                return Err(Error::msg(format_args!("parameter `{name}` is not declared")));
            }
        }
        let instance = (self.open)(self.context.clone()).map_err(Fault::from)?;
        Ok(Harness::new(self, declaration, instance))
    }
}
