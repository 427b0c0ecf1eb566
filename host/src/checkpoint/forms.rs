//! States as a manifest names them, and as a partition has them in columns.

use super::code::Code;
use super::manifest::{DeclaredFate, DeclaredOperatorState, DeclaredState};
use super::protocol::OperatorOf;
use crate::model::{Declaration, TIME_NONE, Ttl};
use crate::state::{Fate, Layout, OperatorForm, Stamps, StateForm, changed_forms};

/// The columns of a partition for its manifest.
pub fn declared_states(layout: &Layout) -> Vec<DeclaredState> {
    let declared = |form: &StateForm| DeclaredState {
        name: form.name.clone(),
        kind: form.kind,
        stamped: form.stamped,
        schema_version: form.schema_version,
        type_name: form.type_name.clone(),
        fate: match form.fate {
            Fate::Live => DeclaredFate::Live,
            Fate::Moves(_) => DeclaredFate::Moves,
            Fate::Kept => DeclaredFate::Kept,
            Fate::Gone => DeclaredFate::Gone,
        },
    };
    layout.columns.iter().map(declared).collect()
}

/// The columns that a manifest tells of, for a function that is not known yet: none is live.
pub fn layout_of(states: &[DeclaredState]) -> Layout {
    let form = |state: &DeclaredState| StateForm {
        name: state.name.clone(),
        kind: state.kind,
        schema_version: state.schema_version,
        type_name: state.type_name.clone(),
        stamped: state.stamped,
        ttl: None,
        fate: match state.fate {
            DeclaredFate::Gone => Fate::Gone,
            DeclaredFate::Live | DeclaredFate::Moves | DeclaredFate::Kept => Fate::Kept,
        },
    };
    Layout { columns: states.iter().map(form).collect(), live: Vec::new() }
}

/// Operator states for their manifest.
pub fn declared_operator_states(forms: &[OperatorForm]) -> Vec<DeclaredOperatorState> {
    let declared = |form: &OperatorForm| DeclaredOperatorState {
        name: form.name.clone(),
        redistribution: form.redistribution,
        schema_version: form.schema_version,
        type_name: form.type_name.clone(),
        kept: !form.is_declared,
    };
    forms.iter().map(declared).collect()
}

/// Operator states that a manifest tells of.
pub fn operator_forms_of(states: &[DeclaredOperatorState]) -> Vec<OperatorForm> {
    let form = |state: &DeclaredOperatorState| OperatorForm {
        name: state.name.clone(),
        redistribution: state.redistribution,
        schema_version: state.schema_version,
        type_name: state.type_name.clone(),
        is_declared: !state.kept,
    };
    states.iter().map(form).collect()
}

/// What an operator is once a function is there that declares these states, with these times to
/// live.
pub fn after_swap(
    of: &OperatorOf,
    code: Code,
    declaration: &Declaration,
    ttl: &[Option<Ttl>],
) -> OperatorOf {
    // Which columns there are, and what becomes of them, does not depend on the clocks.
    let stamps = Stamps { watermark: TIME_NONE, processing: 0 };
    let before = layout_of(&of.states);
    let layout = before.changed(&declaration.states, ttl, Fate::Kept, stamps);
    let operator_forms =
        changed_forms(&operator_forms_of(&of.operator_states), &declaration.operator_states);
    OperatorOf {
        id: of.id.clone(),
        code,
        states: declared_states(&layout),
        operator_states: declared_operator_states(&operator_forms),
    }
}

/// The operator states of the checkpoint at whose barrier a function with states `after` comes: the
/// cells are still those of `before`, so they keep their order and their versions.
pub fn captured_at_swap(
    before: &[DeclaredOperatorState],
    after: &[DeclaredOperatorState],
) -> Vec<DeclaredOperatorState> {
    let is_declared = |name: &str| after.iter().any(|state| state.name == name && !state.kept);
    let captured = |state: &DeclaredOperatorState| DeclaredOperatorState {
        kept: !is_declared(&state.name),
        ..state.clone()
    };
    before.iter().map(captured).collect()
}

/// Takes note that what was kept for the function before can go.
pub fn release(states: &mut [DeclaredState], operator_states: &mut Vec<DeclaredOperatorState>) {
    for state in states.iter_mut().filter(|state| state.fate == DeclaredFate::Kept) {
        state.fate = DeclaredFate::Gone;
    }
    operator_states.retain(|state| !state.kept);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Redistribution;

    fn state(name: &str, schema_version: u32, kept: bool) -> DeclaredOperatorState {
        let (name, type_name) = (name.into(), String::new());
        let redistribution = Redistribution::Union;
        DeclaredOperatorState { name, redistribution, schema_version, type_name, kept }
    }

    #[test]
    fn the_checkpoint_of_a_swap_has_the_operator_states_of_before() {
        let before = [state("a", 1, false), state("b", 1, false), state("c", 1, true)];
        let after = [state("d", 1, false), state("c", 1, false), state("b", 2, false)];
        let after = [&after[..], &[state("a", 1, true)]].concat();
        let captured = captured_at_swap(&before, &after);
        assert_eq!(captured, [state("a", 1, true), state("b", 1, false), state("c", 1, false)]);
    }
}
