//! The contract's interface `migrations`: which steps there are, and one of them on a column of
//! cells.

use super::operator::fault;
use crate::bindings::exports::tidegate::function::migrations::{Migrated, Migration};
use crate::bindings::tidegate::function::types::{Fault, FaultKind, Packed};
use crate::error::{Error, quote};
use crate::state::Migrations;

/// The steps that a function can take.
pub(super) fn declared(migrations: &[Migrations]) -> Vec<Migration> {
    let steps = |of: &Migrations| {
        let step = |from_version| Migration { state: of.state.clone(), from_version };
        of.steps.iter().map(|taken| step(taken.from)).collect::<Vec<_>>()
    };
    migrations.iter().flat_map(steps).collect()
}

/// Takes cells of one state a step further.
///
/// # Errors
/// The fault of the first cell that cannot be migrated; if there is no such step.
pub(super) fn migrate(
    migrations: &[Migrations],
    state: &str,
    from: u32,
    keys: &Packed,
    values: &Packed,
) -> Result<Migrated, Fault> {
    assert_eq!(keys.ends.len(), values.ends.len(), "the host sends the key of each cell");
    let of_state = migrations.iter().find(|one| one.state == state);
    let step = of_state.and_then(|one| one.steps.iter().find(|step| step.from == from));
    let Some((of_state, step)) = of_state.zip(step) else {
        let problem = format_args!(
            "state `{state}` has no migration from schema version {from}; declare one with \
             `.migrate({from}, …)`"
        );
        return Err(fault(FaultKind::Failed, None, Error::msg(problem)));
    };
    let cells = values.ends.len();
    let mut migrated = Migrated {
        forms: Vec::with_capacity(cells),
        values: Packed {
            bytes: Vec::with_capacity(values.bytes.len()),
            ends: Vec::with_capacity(cells),
        },
    };
    for (index, (key, cell)) in (0..).zip(strings(keys).zip(strings(values))) {
        let out = &mut migrated.values.bytes;
        let start = out.len();
        let is_left = of_state.migrate(step, key, cell, out).map_err(|error| {
            let whose = blame(of_state, key);
            let error = error.context(format_args!("{whose}, from version {from} to {}", from + 1));
            fault(FaultKind::Failed, Some(index), error)
        })?;
        if !is_left {
            out.truncate(start);
        }
        migrated.values.ends.push(out.len() as u32);
        migrated.forms.push(u8::from(is_left));
    }
    Ok(migrated)
}

/// The state and, if it has one, the key.
fn blame(of: &Migrations, key: &[u8]) -> String {
    match of.is_keyed() {
        true => format!("state `{}` of key {}", of.state, quote(key)),
        false => format!("operator state `{}`", of.state),
    }
}

fn strings(column: &Packed) -> impl Iterator<Item = &[u8]> {
    let mut start = 0;
    column.ends.iter().map(move |end| {
        let string = &column.bytes[start..*end as usize];
        start = *end as usize;
        string
    })
}
