//! From one schema version of a state to the next: the steps as authors write them, and as they are
//! kept, on bytes.
//!
//! What a step makes of a whole cell is in `migrate_cells`, what the host asks for in
//! `runtime::migrate`.

use std::any::type_name;
use std::fmt;
use std::rc::Rc;

use super::migrate_cells::Cell;
use super::{StateBuilder, StateValue, encoding, shorten};
use crate::error::{Error, Result};

impl StateBuilder<'_> {
    /// Declares the step from schema version `from` to the next: what becomes of a value, of each
    /// element of a list, of the value of each entry of a map, of a reduction or an accumulator.
    ///
    /// [time to live]: super::Ttl
    /// [keyed state]: crate#keyed-state
    /// [operator state]: crate#operator-state
    /// [raw operator state]: super::RawOperatorState
    /// [windows]: crate::window
    #[doc = include_str!("../../../docs/state/migration.md")]
    pub fn migrate<Old: StateValue, New: StateValue>(
        self,
        from: u32,
        step: impl Fn(Old) -> Result<New> + 'static,
    ) -> Self {
        self.step(Step::of_value(from, move |_, old| step(old).map(Some)))
    }

    /// As [`migrate`](Self::migrate), where None removes the value, element or entry. A list or map
    /// of which nothing is left is state no more.
    pub fn migrate_or_drop<Old: StateValue, New: StateValue>(
        self,
        from: u32,
        step: impl Fn(Old) -> Result<Option<New>> + 'static,
    ) -> Self {
        self.step(Step::of_value(from, move |_, old| step(old)))
    }

    /// As [`migrate_or_drop`](Self::migrate_or_drop) for a step that wants to know whose state it
    /// is: `step` is called with the key of the stream too. For keyed state.
    pub fn migrate_with_key<Old: StateValue, New: StateValue>(
        self,
        from: u32,
        step: impl Fn(&[u8], Old) -> Result<Option<New>> + 'static,
    ) -> Self {
        self.step(Step { needs_key: true, ..Step::of_value(from, step) })
    }

    /// As [`migrate`](Self::migrate) for a map whose keys change too. That two entries become one
    /// key is an error.
    pub fn migrate_entries<OldK, OldV, NewK, NewV>(
        self,
        from: u32,
        step: impl Fn(OldK, OldV) -> Result<(NewK, NewV)> + 'static,
    ) -> Self
    where
        OldK: StateValue,
        OldV: StateValue,
        NewK: StateValue,
        NewV: StateValue,
    {
        self.step(Step::of_entry(from, move |key, value| step(key, value).map(Some)))
    }

    /// As [`migrate_entries`](Self::migrate_entries), where None removes the entry.
    pub fn migrate_entries_or_drop<OldK, OldV, NewK, NewV>(
        self,
        from: u32,
        step: impl Fn(OldK, OldV) -> Result<Option<(NewK, NewV)>> + 'static,
    ) -> Self
    where
        OldK: StateValue,
        OldV: StateValue,
        NewK: StateValue,
        NewV: StateValue,
    {
        self.step(Step::of_entry(from, step))
    }

    /// Declares a step, in its place among the others.
    pub(crate) fn step(mut self, step: Step) -> Self {
        let place = self.steps.iter().position(|other| other.from > step.from);
        self.steps.insert(place.unwrap_or(self.steps.len()), step);
        self
    }
}

/// The types of what a state holds, by their names: of an element or value, and in a map of its
/// keys.
#[derive(Clone, Copy)]
pub(crate) struct Types {
    key: Option<&'static str>,
    value: &'static str,
}

impl Types {
    pub(crate) fn of_value<T>() -> Self {
        Self { key: None, value: type_name::<T>() }
    }

    pub(crate) fn of_entry<K, V>() -> Self {
        Self { key: Some(type_name::<K>()), value: type_name::<V>() }
    }

    /// Whether one can stand for the other, where a step that leaves keys alone does not know them.
    fn fits(self, other: Self) -> bool {
        let fits = |(one, two)| one == two;
        self.value == other.value && self.key.zip(other.key).is_none_or(fits)
    }
}

impl fmt::Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key {
            None => write!(f, "`{}`", shorten(self.value)),
            Some(key) => write!(f, "`{}` -> `{}`", shorten(key), shorten(self.value)),
        }
    }
}

/// Appends what becomes of a cell. False if nothing is left, and then, as after an error, what was
/// appended is void.
type Change = dyn Fn(&Cell<'_>, &mut Vec<u8>) -> Result<bool>;

/// One step, from a schema version to the next.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) from: u32,
    takes: Types,
    gives: Types,
    needs_key: bool,
    is_of_entries: bool,
    /// All that a step needs is reached from here, so that a component whose function has no
    /// migrations does not have the code either.
    change: Rc<Change>,
}

impl Step {
    pub(crate) fn of_value<Old: StateValue, New: StateValue>(
        from: u32,
        step: impl Fn(&[u8], Old) -> Result<Option<New>> + 'static,
    ) -> Self {
        let change = move |cell: &Cell<'_>, out: &mut Vec<u8>| {
            cell.migrate_values(out, &|old, out| {
                let Some(new) = step(cell.key, encoding::decode(old)?)? else { return Ok(false) };
                encoding::encode(&new, out)?;
                Ok(true)
            })
        };
        Self {
            from,
            takes: Types::of_value::<Old>(),
            gives: Types::of_value::<New>(),
            needs_key: false,
            is_of_entries: false,
            change: Rc::new(change),
        }
    }

    fn of_entry<OldK, OldV, NewK, NewV>(
        from: u32,
        step: impl Fn(OldK, OldV) -> Result<Option<(NewK, NewV)>> + 'static,
    ) -> Self
    where
        OldK: StateValue,
        OldV: StateValue,
        NewK: StateValue,
        NewV: StateValue,
    {
        let change = move |cell: &Cell<'_>, out: &mut Vec<u8>| {
            cell.migrate_entries(out, &|key, value, to_key, to_value| {
                let new = step(encoding::decode(key)?, encoding::decode(value)?)?;
                let Some((key, value)) = new else { return Ok(false) };
                encoding::encode(&key, to_key)?;
                encoding::encode(&value, to_value)?;
                Ok(true)
            })
        };
        Self {
            from,
            takes: Types::of_entry::<OldK, OldV>(),
            gives: Types::of_entry::<NewK, NewV>(),
            needs_key: false,
            is_of_entries: true,
            change: Rc::new(change),
        }
    }

    pub(super) fn takes(&self, types: Types) -> bool {
        self.takes.fits(types)
    }

    /// Appends what becomes of a cell. False if nothing is left, and then, as after an error, what
    /// was appended is void.
    ///
    /// # Errors
    /// What the step gives; if what is stored is not what it takes; if two entries become one.
    pub(super) fn take(&self, cell: &Cell<'_>, out: &mut Vec<u8>) -> Result<bool> {
        (self.change)(cell, out)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from version {}: {} to {}", self.from, self.takes, self.gives)
    }
}

/// Whether the steps of a state, ascending, lead to its schema version and type.
///
/// # Errors
/// The first thing that is wrong.
pub(super) fn check(
    steps: &[Step],
    schema_version: u32,
    holds: Types,
    is_keyed: bool,
) -> Result<()> {
    if schema_version == 0 {
        return Err(Error::msg("schema versions begin at 1, and this one is 0"));
    }
    for (index, step) in steps.iter().enumerate() {
        let from = step.from;
        let next = steps.get(index + 1);
        let problem = match next {
            _ if from == 0 => "schema versions begin at 1, so none is migrated from 0".to_owned(),
            _ if from >= schema_version => format!(
                "the migration from version {from} leads past the declared schema version, \
                 {schema_version}; write `.schema_version({})`",
                from.saturating_add(1)
            ),
            Some(next) if next.from == from => {
                format!("there are two migrations from version {from}")
            }
            None if from + 1 == schema_version => continue,
            Some(next) if next.from == from + 1 => continue,
            _ => format!(
                "there is a migration from version {from}, but none from version {} on the way to \
                 {schema_version}",
                from + 1
            ),
        };
        return Err(Error::msg(problem));
    }
    if let Some(step) = steps.iter().find(|step| step.needs_key && !is_keyed) {
        return Err(Error::msg(format_args!(
            "the migration from version {} is one with the key, which operator state has not; use \
             `migrate`",
            step.from
        )));
    }
    let mut with_next = steps.iter().zip(steps.iter().skip(1).map(Some).chain([None]));
    with_next.try_for_each(|(step, next)| check_types(step, next, holds))
}

/// Sees whether what a step gives is what comes next.
fn check_types(step: &Step, next: Option<&Step>, holds: Types) -> Result<()> {
    let from = step.from;
    if step.is_of_entries && holds.key.is_none() {
        return Err(Error::msg(format_args!(
            "the migration from version {from} is one of entries, which only maps have; use \
             `migrate`"
        )));
    }
    let expected = next.map_or(holds, |next| next.takes);
    if step.gives.fits(expected) {
        return Ok(());
    }
    let who = match next {
        Some(next) => format!("the one from version {} takes", next.from),
        None => "the state holds".to_owned(),
    };
    Err(Error::msg(format_args!(
        "the migration from version {from} gives {}, but {who} {expected}",
        step.gives
    )))
}
