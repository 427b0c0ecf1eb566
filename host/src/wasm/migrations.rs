//! The optional interface of the contract by which a function takes older state to its own schema
//! version. Looked up by name, since a component may leave it out.

use wasmtime::Store;
use wasmtime::component::{ComponentExportIndex, ComponentType, Instance, Lift};

use super::bindings::types::{Fault as RawFault, PackedParam, PackedResult};
use super::component::{CONTRACT_PACKAGE, CONTRACT_VERSION};
use super::effects::check_packed;
use super::guest_state::GuestState;
use crate::error::{Error, Result};
use crate::model::{Declaration, Fault, FaultReason, Packed};

/// The interface's name without package and version.
const INTERFACE: &str = "migrations";

/// A step that a function can take: from this schema version of this state to the next.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Migration {
    /// The state's name, keyed or of the operator.
    pub state: String,
    /// At least 1, below the declared version.
    pub from_version: u32,
}

/// What became of cells: for each whether there is anything left, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migrated {
    /// 0 = nothing, 1 = what stands in `values`.
    pub forms: Vec<u8>,
    /// One string a cell, empty where there is nothing.
    pub values: Packed,
}

#[derive(ComponentType, Lift)]
#[component(record)]
struct RawMigration {
    state: String,
    #[component(name = "from-version")]
    from_version: u32,
}

#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct RawMigrated {
    forms: Vec<u8>,
    values: PackedResult,
}

/// Whether a component that was instantiated has the interface.
pub(super) fn find(
    store: &mut Store<GuestState>,
    instance: &Instance,
) -> Option<ComponentExportIndex> {
    let name = format!("{CONTRACT_PACKAGE}{INTERFACE}@{CONTRACT_VERSION}");
    instance.get_export_index(store, None, &name)
}

/// Asks for the steps that there are.
pub(super) fn describe(
    store: &mut Store<GuestState>,
    instance: &Instance,
    interface: &ComponentExportIndex,
) -> wasmtime::Result<Vec<Migration>> {
    let name = "describe-migrations";
    let index = instance.get_export_index(&mut *store, Some(interface), name);
    let index = index.ok_or_else(|| lacks(name))?;
    let function = instance.get_typed_func::<(), (Vec<RawMigration>,)>(&mut *store, &index)?;
    let (steps,) = function.call(&mut *store, ())?;
    let convert =
        |raw: RawMigration| Migration { state: raw.state, from_version: raw.from_version };
    Ok(steps.into_iter().map(convert).collect())
}

/// Takes a step.
pub(super) fn migrate(
    store: &mut Store<GuestState>,
    instance: &Instance,
    interface: &ComponentExportIndex,
    (state, from_version): (&str, u32),
    keys: PackedParam<'_>,
    values: PackedParam<'_>,
) -> wasmtime::Result<std::result::Result<RawMigrated, RawFault>> {
    type Parameters<'a> = (&'a str, u32, PackedParam<'a>, PackedParam<'a>);
    type Answer = (std::result::Result<RawMigrated, RawFault>,);
    let index = instance.get_export_index(&mut *store, Some(interface), "migrate");
    let index = index.ok_or_else(|| lacks("migrate"))?;
    let function = instance.get_typed_func::<Parameters<'_>, Answer>(&mut *store, &index)?;
    let (answer,) = function.call(&mut *store, (state, from_version, keys, values))?;
    Ok(answer)
}

fn lacks(function: &str) -> wasmtime::Error {
    wasmtime::Error::msg(format!("its interface {INTERFACE} lacks {function}"))
}

/// Checks what a function says of its steps.
pub(super) fn check_steps(
    name: &str,
    steps: &[Migration],
    declaration: &Declaration,
) -> Result<()> {
    let version_of = |state: &str| {
        let mut keyed = declaration.states.iter().map(|one| (&one.name, one.schema_version));
        let of_operator = declaration.operator_states.iter();
        let mut of_operator = of_operator.map(|one| (&one.name, one.schema_version));
        let found = keyed.find(|(name, _)| *name == state);
        found.or_else(|| of_operator.find(|(name, _)| *name == state)).map(|(_, version)| version)
    };
    for (index, step) in steps.iter().enumerate() {
        let Migration { state, from_version } = step;
        let what = match version_of(state) {
            None => format!("of state {state:?}, which it does not declare"),
            Some(version) if *from_version == 0 || *from_version >= version => format!(
                "of state {state:?} from version {from_version}, but the state has version {version}"
            ),
            Some(_) if steps[..index].contains(step) => {
                format!("of state {state:?} from version {from_version} twice")
            }
            Some(_) => continue,
        };
        return Err(Error::input(format!("{name} declares a migration {what}")));
    }
    Ok(())
}

/// Checks what became of so many cells.
pub(super) fn check(raw: RawMigrated, cells: usize) -> std::result::Result<Migrated, Fault> {
    let bad = |what: String| {
        Fault::new(FaultReason::BadEffects, format!("malformed answer of a migration: {what}"))
    };
    let values = check_packed(raw.values, "the values").map_err(bad)?;
    if values.len() != cells || raw.forms.len() != cells {
        let (forms, values) = (raw.forms.len(), values.len());
        return Err(bad(format!("{forms} forms and {values} values for {cells} cells")));
    }
    for (&form, value) in raw.forms.iter().zip(values.iter()) {
        if form > 1 || (form == 0 && !value.is_empty()) {
            return Err(bad(format!("form {form} with {} bytes", value.len())));
        }
    }
    Ok(Migrated { forms: raw.forms, values })
}
