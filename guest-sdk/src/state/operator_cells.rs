//! The operator states of a partition: the cells of one "key", which last from call to call.
//!
//! The host pushes them whole once, and after that says that it has applied what the last call did.

use super::cells::Cells;
use crate::bindings::tidegate::function::declarations::{
    OperatorStateDeclaration, Redistribution, StateKind,
};
use crate::bindings::tidegate::function::types::{OperatorState, OperatorStateChanges};

/// Forms of the contract.
const NEVER_CALLED: u8 = 0;
const AS_LEFT: u8 = 2;

/// The operator states of this instance.
pub(crate) struct OperatorCells {
    kinds: Vec<StateKind>,
    pub(crate) cells: Vec<Cells>,
}

/// What the host says of operator state with a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is as the last call left it.
    AsLeft,
    /// It has come whole. `is_restored` = calls before have made it what it is.
    Whole { is_restored: bool },
}

impl OperatorCells {
    /// Nothing yet: the first call brings what there is.
    pub(crate) fn new(declared: &[OperatorStateDeclaration]) -> Self {
        let kind = |state: &OperatorStateDeclaration| match state.redistribution {
            Redistribution::EvenSplit | Redistribution::Union => StateKind::List,
            Redistribution::Broadcast => StateKind::Map,
        };
        Self { kinds: declared.iter().map(kind).collect(), cells: Vec::new() }
    }

    /// Takes what the host pushed.
    pub(crate) fn take(&mut self, states: Vec<OperatorState>) -> Known {
        assert_eq!(states.len(), self.kinds.len(), "the host sends each operator state");
        if states.iter().all(|state| state.form == AS_LEFT) {
            return Known::AsLeft;
        }
        let is_restored = states.iter().any(|state| state.form != NEVER_CALLED);
        let cells = self.kinds.iter().zip(states);
        self.cells = cells.map(|(kind, state)| Cells::one(*kind, state.value)).collect();
        Known::Whole { is_restored }
    }

    /// What has changed since the host last knew, which it knows from now on.
    pub(crate) fn take_changes(&mut self) -> Vec<OperatorStateChanges> {
        let mut all = Vec::new();
        for ((index, cells), kind) in (0..).zip(&mut self.cells).zip(&self.kinds) {
            if let Some(changes) = cells.operator_changes(index) {
                *cells = Cells::one(*kind, cells.pack_one());
                all.push(changes);
            }
        }
        all
    }
}
