//! Byte strings of the partition.

use crate::context::Context;

/// State that holds byte strings for the partition as they are. Made by
/// [`Setup::raw_operator_state`](crate::Setup::raw_operator_state).
///
/// [operator list state]: super::OperatorListState
#[doc = include_str!("../../../docs/state/raw.md")]
pub struct RawOperatorState {
    state: u32,
}

impl RawOperatorState {
    pub(super) fn new(state: u32) -> Self {
        Self { state }
    }

    /// The strings in the order they were added.
    pub fn get<O, C>(&self, ctx: &Context<'_, O, C>) -> Vec<Vec<u8>> {
        ctx.with_operator_list(self.state, |cells| cells.elements(0).map(<[u8]>::to_vec).collect())
    }

    /// Adds a string at the end.
    pub fn add<O, C>(&self, ctx: &mut Context<'_, O, C>, string: &[u8]) {
        let added = ctx.with_operator_list(self.state, |cells| {
            cells.append(0, |out| {
                out.extend_from_slice(string);
                Ok(())
            })
        });
        added.expect("copying bytes cannot fail");
    }

    /// Removes all strings.
    pub fn clear<O, C>(&self, ctx: &mut Context<'_, O, C>) {
        ctx.with_operator_list(self.state, |cells| cells.clear(0));
    }
}
