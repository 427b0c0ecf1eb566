//! Checks effects as a host does.
//!
//! A breach of the contract is a bug of this SDK and panics; a line end in text is a fault of the
//! function.

use super::fault::Fault;
use super::pack::strings;
use super::store::{split_entry, split_framed};
use crate::bindings::exports::tidegate::function::migrations::Migrated;
use crate::bindings::tidegate::function::declarations::{
    Declaration, Format, Redistribution, StateKind,
};
use crate::bindings::tidegate::function::types::{
    Effects, OperatorStateChanges, OutputColumn, Packed, StateChanges, TimerChanges,
};

/// How many there are of what effects point at.
#[derive(Clone, Copy)]
pub(super) struct Extent {
    /// Records or timers.
    pub(super) causes: usize,
    pub(super) keys: usize,
    /// Whether they are records of a broadcast input.
    pub(super) is_broadcast: bool,
}

/// Checks the effects of a call.
///
/// # Errors
/// If text has a line end in it.
///
/// # Panics
/// If the effects break the contract.
pub(super) fn effects(
    effects: Effects,
    declaration: &Declaration,
    extent: Extent,
) -> Result<Effects, Fault> {
    assert_distinct("output", effects.outputs.iter().map(|column| column.output));
    assert_distinct("state", effects.states.iter().map(|column| column.state));
    for column in &effects.states {
        check_state(column, declaration.states[column.state as usize].kind, extent);
    }
    assert_distinct("operator state", effects.operator_states.iter().map(|column| column.state));
    for column in &effects.operator_states {
        check_operator_state(column, declaration, extent);
    }
    check_timers(&effects.timers, declaration.timers, extent);
    for column in &effects.outputs {
        check_output(column, declaration, extent)?;
    }
    Ok(effects)
}

/// Checks what has become of so many cells.
///
/// # Panics
/// If it breaks the contract.
pub(super) fn migrated(migrated: &Migrated, cells: usize, kind: StateKind) {
    check_packed(&migrated.values);
    assert!(migrated.forms.len() == cells && migrated.values.ends.len() == cells);
    for (form, value) in migrated.forms.iter().zip(strings(&migrated.values)) {
        match form {
            0 => assert!(value.is_empty()),
            1 => check_cell(value, kind),
            _ => panic!("a cell of form {form}"),
        }
    }
}

fn check_cell(mut cell: &[u8], kind: StateKind) {
    if !matches!(kind, StateKind::List | StateKind::Map) {
        return;
    }
    assert!(!cell.is_empty(), "what is empty is no state");
    let mut before = None;
    while let Some((string, mut rest)) = split_framed(cell) {
        if kind == StateKind::Map {
            assert!(before < Some(string), "keys of a map ascend");
            before = Some(string);
            (_, rest) = split_framed(rest).expect("a value for each key");
        }
        cell = rest;
    }
}

fn check_output(
    column: &OutputColumn,
    declaration: &Declaration,
    extent: Extent,
) -> Result<(), Fault> {
    let output = &declaration.outputs[column.output as usize];
    check_packed(&column.values);
    assert_eq!(column.values.ends.len(), column.origins.len());
    check_origins(&column.origins, extent);
    if output.format == Format::Lines
        && let Some(line) = strings(&column.values).find(|line| line.contains(&b'\n'))
    {
        let line = String::from_utf8_lossy(line);
        return Err(Fault::failed(format_args!(
            "a record of output `{}` is more than one line: {line:?}",
            output.name
        )));
    }
    Ok(())
}

fn check_state(column: &StateChanges, kind: StateKind, extent: Extent) {
    check_packed(&column.entries);
    let count = column.keys.len();
    assert!(count > 0 && column.operations.len() == count && column.entries.ends.len() == count);
    assert!(column.keys.iter().all(|key| (*key as usize) < extent.keys));
    check_operations(kind, &column.operations, &column.entries);
}

fn check_operator_state(column: &OperatorStateChanges, declaration: &Declaration, extent: Extent) {
    check_packed(&column.entries);
    assert!(!column.operations.is_empty());
    assert_eq!(column.operations.len(), column.entries.ends.len());
    let kind = match declaration.operator_states[column.state as usize].redistribution {
        Redistribution::EvenSplit | Redistribution::Union => StateKind::List,
        Redistribution::Broadcast => {
            assert!(extent.is_broadcast, "only broadcast records change broadcast state");
            StateKind::Map
        }
    };
    check_operations(kind, &column.operations, &column.entries);
}

fn check_operations(kind: StateKind, operations: &[u8], entries: &Packed) {
    for (operation, entry) in operations.iter().zip(strings(entries)) {
        match (operation, kind) {
            (0, _) => assert!(entry.is_empty()),
            (1, StateKind::Map) => assert!(split_entry(entry).is_some()),
            (1, _) | (2, StateKind::Map) => {}
            _ => panic!("operation {operation} on state of kind {kind:?}"),
        }
    }
}

fn check_timers(timers: &TimerChanges, may_have_timers: bool, extent: Extent) {
    let count = timers.timestamps.len();
    assert!(count == 0 || may_have_timers);
    assert!(timers.operations.len() == count && timers.origins.len() == count);
    assert!(timers.operations.iter().all(|operation| *operation <= 3));
    check_origins(&timers.origins, extent);
}

fn check_packed(packed: &Packed) {
    assert!(packed.ends.is_sorted());
    assert_eq!(packed.ends.last().copied().unwrap_or(0) as usize, packed.bytes.len());
}

fn check_origins(origins: &[u32], extent: Extent) {
    assert!(origins.is_sorted());
    assert!(origins.iter().all(|origin| (*origin as usize) < extent.causes));
}

fn assert_distinct(what: &str, indexes: impl Iterator<Item = u32>) {
    let mut seen = std::collections::HashSet::new();
    for index in indexes {
        assert!(seen.insert(index), "two columns of {what} {index}");
    }
}
