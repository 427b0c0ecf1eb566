//! State of other versions of a function: left by one that another takes the place of, or put there
//! by a test. All of it is migrated at once.

use std::ops::Range;

use serde::Serialize;

use super::builder::Builder;
use super::harness::Harness;
use super::pack;
use super::store::Stored;
use super::validate;
use crate::bindings::tidegate::function::declarations::{
    OperatorStateDeclaration, Redistribution, StateDeclaration, StateKind, TimeDomain, Ttl,
};
use crate::error::{Error, Result};
use crate::state::{encode, payload, stamped};

/// What some keys have in one state, ascending, or the partition under an empty key.
type Cells = Vec<(Vec<u8>, Stored)>;

impl<M> Harness<M> {
    /// Puts another version of the function in the place of this one, as a swap on a running job
    /// does: it goes on with timers, clocks, outputs and the state that it declares, of which that
    /// of older schema versions is migrated.
    ///
    /// ```
    /// use tidegate_sdk::prelude::*;
    /// use tidegate_sdk::testing::Harness;
    ///
    /// struct Count(ValueState<u32>);
    ///
    /// impl RichMapFunction for Count {
    ///     type In<'a> = &'a str;
    ///     type Out = Csv<(u32,)>;
    ///
    ///     fn open(setup: &mut Setup) -> Result<Self> {
    ///         Ok(Self(setup.value_state("count")))
    ///     }
    ///     fn map(&mut self, _: &str, ctx: &mut MapContext<'_>) -> Result<Self::Out> {
    ///         let count = self.0.value(ctx)?.unwrap_or(0) + 1;
    ///         self.0.update(ctx, &count)?;
    ///         Ok(Csv((count,)))
    ///     }
    /// }
    ///
    /// /// Counts bytes too.
    /// struct CountBytes(ValueState<(u32, usize)>);
    ///
    /// impl RichMapFunction for CountBytes {
    ///     type In<'a> = &'a str;
    ///     type Out = Csv<(u32, usize)>;
    ///
    ///     fn open(setup: &mut Setup) -> Result<Self> {
    ///         let count = setup.state("count").schema_version(2);
    ///         Ok(Self(count.migrate(1, |count: u32| Ok((count, 0_usize))).value()))
    ///     }
    ///     fn map(&mut self, line: &str, ctx: &mut MapContext<'_>) -> Result<Self::Out> {
    ///         let (count, bytes) = self.0.value(ctx)?.unwrap_or_default();
    ///         let counted = (count + 1, bytes + line.len());
    ///         self.0.update(ctx, &counted)?;
    ///         Ok(Csv(counted))
    ///     }
    /// }
    ///
    /// let mut count = Harness::rich_map::<Count>().open()?;
    /// count.push("key", "some", 0)?;
    /// let mut count = count.swap(Harness::rich_map::<CountBytes>())?;
    /// count.push("key", "more", 0)?;
    /// assert_eq!(count.take_output(), ["1", "2,4"]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// If the other version refuses to open, or declares a state with another kind, an older schema
    /// version, or another type of the same version; what a migration gives; if one is missing or
    /// gives something else the second time.
    pub fn swap<N>(self, version: Builder<N>) -> Result<Harness<N>> {
        let mut new = version.open()?;
        (new.watermark, new.processing_time) = (self.watermark, self.processing_time);
        let Self { declaration: old, mut store, .. } = self;
        // What the other version does not declare has come to its end.
        for (index, state) in old.states.iter().enumerate() {
            if new.declaration.states.iter().any(|other| other.name == state.name) {
                new.take_keyed(state, store.take(index))?;
            }
        }
        for (index, state) in old.operator_states.iter().enumerate() {
            if new.declaration.operator_states.iter().any(|other| other.name == state.name) {
                new.take_of_operator(state, store.operator.take(index))?;
            }
        }
        new.store.take_rest(&mut store);
        for (output, records) in old.outputs.iter().zip(self.outputs) {
            let outputs = &new.declaration.outputs;
            if let Some(index) = outputs.iter().position(|other| other.name == output.name) {
                new.outputs[index] = records;
            }
        }
        Ok(new)
    }

    /// Gives a key a value of a value state, as schema version `version` of it was, and migrates
    /// it. Of a reducing state it is the reduction, of an aggregating state the accumulator. If the
    /// state has a time to live, it counts as accessed now.
    ///
    /// ```
    /// # use tidegate_sdk::prelude::*;
    /// # use tidegate_sdk::testing::Harness;
    /// struct Last(ValueState<String>);
    ///
    /// impl RichMapFunction for Last {
    ///     type In<'a> = &'a str;
    ///     type Out = String;
    ///
    ///     fn open(setup: &mut Setup) -> Result<Self> {
    ///         let last = setup.state("last").schema_version(2);
    ///         Ok(Self(last.migrate(1, |last: f64| Ok(format!("{last:.1}"))).value()))
    ///     }
    ///     fn map(&mut self, line: &str, ctx: &mut MapContext<'_>) -> Result<String> {
    ///         let before = self.0.value(ctx)?.unwrap_or_default();
    ///         self.0.update(ctx, &line.to_owned())?;
    ///         Ok(before)
    ///     }
    /// }
    ///
    /// let mut last = Harness::rich_map::<Last>().open()?;
    /// last.restore_value("last", 1, "key", &36.5)?;
    /// last.push("key", "cold", 0)?;
    /// assert_eq!(last.take_output(), ["36.5"]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// If there is no such state, or its version is older; what a migration gives.
    pub fn restore_value<T: Serialize>(
        &mut self,
        name: &str,
        version: u32,
        key: impl AsRef<[u8]>,
        value: &T,
    ) -> Result<()> {
        let is_value = |kind| !matches!(kind, StateKind::List | StateKind::Map);
        self.restore(name, version, key.as_ref(), is_value, Stored::Value(encoded(value)?))
    }

    /// Gives a key a list, as [`restore_value`](Self::restore_value) gives a value.
    ///
    /// # Errors
    /// As there.
    pub fn restore_list<T: Serialize>(
        &mut self,
        name: &str,
        version: u32,
        key: impl AsRef<[u8]>,
        elements: &[T],
    ) -> Result<()> {
        let list = encoded_list(elements)?;
        self.restore(name, version, key.as_ref(), |kind| kind == StateKind::List, list)
    }

    /// Gives a key a map, as [`restore_value`](Self::restore_value) gives a value.
    ///
    /// # Errors
    /// As there.
    pub fn restore_map<K: Serialize, V: Serialize>(
        &mut self,
        name: &str,
        version: u32,
        key: impl AsRef<[u8]>,
        entries: &[(K, V)],
    ) -> Result<()> {
        let map = encoded_map(entries)?;
        self.restore(name, version, key.as_ref(), |kind| kind == StateKind::Map, map)
    }

    /// Gives the partition an even-split or union list, as [`restore_value`](Self::restore_value)
    /// gives a value.
    ///
    /// # Errors
    /// As there.
    pub fn restore_operator_list<T: Serialize>(
        &mut self,
        name: &str,
        version: u32,
        elements: &[T],
    ) -> Result<()> {
        self.restore_of_operator(name, version, encoded_list(elements)?)
    }

    /// Gives the partition a raw operator state, as [`restore_value`](Self::restore_value) gives a
    /// value.
    ///
    /// # Errors
    /// As there.
    pub fn restore_raw_operator(
        &mut self,
        name: &str,
        version: u32,
        strings: &[impl AsRef<[u8]>],
    ) -> Result<()> {
        let strings = strings.iter().map(|string| string.as_ref().to_vec()).collect();
        self.restore_of_operator(name, version, Stored::List(strings))
    }

    /// Gives the partition a broadcast state, as [`restore_value`](Self::restore_value) gives a
    /// value.
    ///
    /// # Errors
    /// As there.
    pub fn restore_broadcast<K: Serialize, V: Serialize>(
        &mut self,
        name: &str,
        version: u32,
        entries: &[(K, V)],
    ) -> Result<()> {
        self.restore_of_operator(name, version, encoded_map(entries)?)
    }

    fn restore(
        &mut self,
        name: &str,
        version: u32,
        key: &[u8],
        is_kind: impl Fn(StateKind) -> bool,
        stored: Stored,
    ) -> Result<()> {
        let state = self.declaration.states[self.find_state(name, is_kind)?].clone();
        let old = of_version(&state.type_name, state.schema_version, version);
        let old = StateDeclaration { schema_version: version, type_name: old, ttl: None, ..state };
        self.take_keyed(&old, vec![(key.to_vec(), stored)])
    }

    fn restore_of_operator(&mut self, name: &str, version: u32, stored: Stored) -> Result<()> {
        let state = self.declaration.operator_states[self.find_operator_state(name)?].clone();
        let old = of_version(&state.type_name, state.schema_version, version);
        let old = OperatorStateDeclaration { schema_version: version, type_name: old, ..state };
        self.take_of_operator(&old, Some(stored))
    }

    /// Takes what some keys have in a state as another version declared it.
    fn take_keyed(&mut self, old: &StateDeclaration, mut cells: Cells) -> Result<()> {
        let name = &old.name;
        let index = self.find_state(name, |_| true)?;
        let new = &self.declaration.states[index];
        if new.kind != old.kind {
            let (old, new) = (old.kind, new.kind);
            return Err(Error::msg(format_args!("state `{name}` was {old:?} and is {new:?} now")));
        }
        let clocks = (self.watermark, self.processing_time);
        cells.iter_mut().for_each(|(_, stored)| {
            stored.replace_values(|stored| restamp(stored, old.ttl, new.ttl, clocks));
        });
        let old = (old.schema_version, old.type_name.as_str());
        let steps = steps(name, old, (new.schema_version, new.type_name.as_str()))?;
        for (key, stored) in self.migrate(name, new.kind, steps, cells)? {
            self.store.put(index, key, stored);
        }
        Ok(())
    }

    /// Takes what a partition has in a state as another version declared it.
    fn take_of_operator(
        &mut self,
        old: &OperatorStateDeclaration,
        stored: Option<Stored>,
    ) -> Result<()> {
        let name = &old.name;
        let index = self.find_operator_state(name)?;
        let new = &self.declaration.operator_states[index];
        if new.redistribution != old.redistribution {
            let (old, new) = (old.redistribution, new.redistribution);
            return Err(Error::msg(format_args!("state `{name}` was {old:?} and is {new:?} now")));
        }
        let kind = match new.redistribution {
            Redistribution::Broadcast => StateKind::Map,
            Redistribution::EvenSplit | Redistribution::Union => StateKind::List,
        };
        let old = (old.schema_version, old.type_name.as_str());
        let steps = steps(name, old, (new.schema_version, new.type_name.as_str()))?;
        let cells = stored.map(|stored| (Vec::new(), stored)).into_iter().collect();
        let migrated = self.migrate(name, kind, steps, cells)?.pop();
        self.store.operator.put(index, migrated.map(|(_, stored)| stored));
        Ok(())
    }

    /// Takes the given steps with cells, each twice: a host may do so too.
    fn migrate(
        &self,
        state: &str,
        kind: StateKind,
        steps: Range<u32>,
        mut cells: Cells,
    ) -> Result<Cells> {
        for from in steps {
            let keys = pack::packed(cells.iter().map(|(key, _)| key));
            let values = pack::packed(cells.iter().map(|(_, stored)| stored.pack()));
            let call = || {
                let migrated = self.instance.migrate(state, from, &keys, &values);
                migrated.map_err(|fault| Error::msg(fault.message))
            };
            let (migrated, again) = (call()?, call()?);
            if (&migrated.forms, &migrated.values.bytes) != (&again.forms, &again.values.bytes) {
                return Err(Error::msg(format_args!(
                    "the migration of state `{state}` from version {from} gives something else the \
                     second time; it may depend on the old value alone"
                )));
            }
            validate::migrated(&migrated, cells.len(), kind);
            let is_left = migrated.forms.iter().map(|form| *form == 1);
            let values = is_left.zip(pack::strings(&migrated.values));
            let migrated = cells.into_iter().zip(values).filter(|(_, (is_left, _))| *is_left);
            cells = migrated.map(|((key, _), (_, new))| (key, Stored::unpack(kind, new))).collect();
        }
        Ok(cells)
    }
}

/// Stored bytes as another time to live wants them. Where they have no access time on its clock,
/// they count as accessed now.
fn restamp(stored: &[u8], old: Option<Ttl>, new: Option<Ttl>, clocks: (i64, i64)) -> Vec<u8> {
    let value = if old.is_some() { payload(stored) } else { stored };
    let Some(new) = new else { return value.to_vec() };
    match new.domain {
        domain if old.is_some_and(|old| old.domain == domain) => stored.to_vec(),
        TimeDomain::Event => stamped(clocks.0, value),
        TimeDomain::Processing => stamped(clocks.1, value),
    }
}

/// The name of the type in another version: it is only known where the version is the same.
fn of_version(type_name: &str, declared: u32, version: u32) -> String {
    if version == declared { type_name.to_owned() } else { String::new() }
}

/// The steps from a schema version with its type to another.
fn steps(name: &str, old: (u32, &str), new: (u32, &str)) -> Result<Range<u32>> {
    let ((old, old_type), (new, new_type)) = (old, new);
    if old > new {
        return Err(Error::msg(format_args!(
            "state `{name}` is of schema version {old}, and the function declares {new}"
        )));
    }
    if old == new && old_type != new_type {
        return Err(Error::msg(format_args!(
            "state `{name}` held `{old_type}` and holds `{new_type}` now, both as schema version \
             {new}; raise it, and migrate"
        )));
    }
    Ok(old..new)
}

fn encoded(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes)?;
    Ok(bytes)
}

fn encoded_list(elements: &[impl Serialize]) -> Result<Stored> {
    elements.iter().map(encoded).collect::<Result<_>>().map(Stored::List)
}

fn encoded_map<K: Serialize, V: Serialize>(entries: &[(K, V)]) -> Result<Stored> {
    let entry = |(key, value): &(K, V)| Ok((encoded(key)?, encoded(value)?));
    entries.iter().map(entry).collect::<Result<_>>().map(Stored::Map)
}
