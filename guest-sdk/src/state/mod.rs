//! State: typed handles over what the host pushed with the batch.
//!
//! ```text
//!   of a key:        ValueState<T>, ReducingState<T>,   ListState<T>   MapState<K, V>
//!                    AggregatingState<A>                     |               |
//!                            |                               |               |
//!                        ValueCells                      ListCells       MapCells
//!                                                            |               |
//!   of a partition:                     OperatorListState<T>, RawOperatorState
//!                                                                     BroadcastState<K, V>
//! ```
//!
//! A handle is only the index of a declared state; what it reads and writes is in the [context] of
//! the call, for the key of the record at hand or for the partition. Values are encoded with
//! `postcard`. The files named `*_cells` know bytes and the packing of the contract, the others
//! know types.
//!
//! [context]: crate::context::Context

mod aggregating;
mod broadcast;
mod cells;
mod encoding;
mod held;
mod list;
mod list_cells;
mod map;
mod map_cells;
mod migrate_cells;
mod migration;
mod operator_cells;
mod operator_list;
mod raw;
mod reducing;
mod ttl;
mod value;
mod value_cells;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use aggregating::{AggregateFunction, AggregatingState};
pub use broadcast::BroadcastState;
pub use list::ListState;
pub use map::MapState;
pub use operator_list::OperatorListState;
pub use raw::RawOperatorState;
pub use reducing::ReducingState;
pub use ttl::Ttl;
pub use value::ValueState;

pub(crate) use cells::Cells;
#[cfg(not(target_family = "wasm"))]
pub(crate) use encoding::decode;
pub(crate) use encoding::{decode_start, encode};
#[cfg(not(target_family = "wasm"))]
pub(crate) use held::{HeldStates, hold};
pub(crate) use list_cells::ListCells;
pub(crate) use map_cells::MapCells;
pub(crate) use migrate_cells::Migrations;
pub(crate) use migration::Step;
pub(crate) use operator_cells::{Known, OperatorCells};
pub(crate) use ttl::Lifetime;
#[cfg(not(target_family = "wasm"))]
pub(crate) use ttl::{payload, stamped};
pub(crate) use value_cells::ValueCells;

use crate::bindings::tidegate::function::declarations::{
    OperatorStateDeclaration, Redistribution, StateDeclaration, StateKind,
};
use crate::setup::Setup;
use migrate_cells::Layout;
use migration::Types;

/// A type that can be kept in state: every serde type that owns its data.
pub trait StateValue: Serialize + DeserializeOwned {}

impl<T: Serialize + DeserializeOwned> StateValue for T {}

/// The declaration of a state, begun with [`Setup::state`].
#[must_use = "a state is declared by naming its kind, as in `.value()`"]
pub struct StateBuilder<'s> {
    setup: &'s mut Setup,
    name: String,
    schema_version: u32,
    ttl: Option<Ttl>,
    steps: Vec<Step>,
}

impl<'s> StateBuilder<'s> {
    pub(crate) fn new(setup: &'s mut Setup, name: &str) -> Self {
        Self { setup, name: name.to_owned(), schema_version: 1, ttl: None, steps: Vec::new() }
    }

    /// The version of the encoding, 1 unless set: raise it when `T` changes so that old bytes would
    /// be misread, and say by [`migrate`](Self::migrate) what becomes of them.
    pub fn schema_version(mut self, version: u32) -> Self {
        self.schema_version = version;
        self
    }

    /// How long the state lives without an access, for ever unless set. A job file may say
    /// otherwise, also for state that is there already.
    pub fn ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Declares state that holds one value a key.
    pub fn value<T: StateValue>(self) -> ValueState<T> {
        let (state, lifetime) = self.declare::<T>(StateKind::Value);
        ValueState::new(state, lifetime)
    }

    /// Declares state that holds a list a key.
    pub fn list<T: StateValue>(self) -> ListState<T> {
        let (state, lifetime) = self.declare::<T>(StateKind::List);
        ListState::new(state, lifetime)
    }

    /// Declares state that holds a map a key.
    pub fn map<K: StateValue, V: StateValue>(self) -> MapState<K, V> {
        let (state, lifetime) = self.declare_map::<K, V>();
        MapState::new(state, lifetime)
    }

    /// Declares state that holds all values added to a key, reduced to one by `reduce`.
    pub fn reducing<T: StateValue>(self, reduce: impl Fn(T, T) -> T + 'static) -> ReducingState<T> {
        let (state, lifetime) = self.declare::<T>(StateKind::Reducing);
        ReducingState::new(ValueState::new(state, lifetime), Box::new(reduce))
    }

    /// Declares state that holds the accumulator of all values added to a key.
    pub fn aggregating<A: AggregateFunction>(self, function: A) -> AggregatingState<A> {
        let (state, lifetime) = self.declare::<A::Acc>(StateKind::Aggregating);
        AggregatingState::new(ValueState::new(state, lifetime), function)
    }

    /// Declares a list of the partition whose elements are dealt out anew, one by one in turn, when
    /// the job is restored with another parallelism: Flink's `getListState` of operator state.
    pub fn operator_list<T: StateValue>(self) -> OperatorListState<T> {
        let state = self.declare_operator_list::<T>(Redistribution::EvenSplit);
        OperatorListState::new(state)
    }

    /// Declares a list of the partition of which every partition gets the elements of all whenever
    /// the job is restored: Flink's `getUnionListState`.
    pub fn union_list<T: StateValue>(self) -> OperatorListState<T> {
        let state = self.declare_operator_list::<T>(Redistribution::Union);
        OperatorListState::new(state)
    }

    /// Declares byte strings of the partition that are kept as they are, and dealt out as those of
    /// [`operator_list`](Self::operator_list): Flink's raw operator state.
    pub fn raw_operator(self) -> RawOperatorState {
        let (name, bytes) = (&self.name, Types::of_value::<Vec<u8>>());
        if self.steps.iter().any(|step| !step.takes(bytes)) {
            self.setup.complain(format_args!(
                "state `{name}`: raw operator state is migrated from `Vec<u8>` to `Vec<u8>`"
            ));
        }
        let (name, layout) = (short_type_name::<Vec<u8>>(), Layout::of_partition(StateKind::List));
        let layout = Layout { is_raw: true, ..layout };
        let state = self.declare_operator_state(Redistribution::EvenSplit, layout, name, bytes);
        RawOperatorState::new(state)
    }

    /// Declares a map that is the same in all partitions, since only records of the broadcast input
    /// change it.
    pub fn broadcast<K: StateValue, V: StateValue>(self) -> BroadcastState<K, V> {
        let (redistribution, holds) = (Redistribution::Broadcast, Types::of_entry::<K, V>());
        let name = short_type_name::<(K, V)>();
        let layout = Layout::of_partition(StateKind::Map);
        let state = self.declare_operator_state(redistribution, layout, name, holds);
        BroadcastState::new(state)
    }

    fn declare_operator_list<T>(self, redistribution: Redistribution) -> u32 {
        let (name, holds) = (short_type_name::<T>(), Types::of_value::<T>());
        let layout = Layout::of_partition(StateKind::List);
        self.declare_operator_state(redistribution, layout, name, holds)
    }

    fn declare_operator_state(
        self,
        redistribution: Redistribution,
        layout: Layout,
        type_name: String,
        holds: Types,
    ) -> u32 {
        if self.ttl.is_some() {
            let name = &self.name;
            self.setup.complain(format_args!(
                "operator state `{name}` has a time to live, which only keyed state can have"
            ));
        }
        let state = self.setup.declare_operator_state(OperatorStateDeclaration {
            name: self.name.clone(),
            redistribution,
            schema_version: self.schema_version,
            type_name,
        });
        self.declare_migrations(layout, holds);
        state
    }

    fn declare_map<K, V>(self) -> (u32, Lifetime) {
        let holds = Types::of_entry::<K, V>();
        self.declare_state(StateKind::Map, short_type_name::<(K, V)>(), holds)
    }

    fn declare<T>(self, kind: StateKind) -> (u32, Lifetime) {
        self.declare_state(kind, short_type_name::<T>(), Types::of_value::<T>())
    }

    fn declare_state(self, kind: StateKind, type_name: String, holds: Types) -> (u32, Lifetime) {
        let (state, lifetime) = self.setup.declare_state(StateDeclaration {
            name: self.name.clone(),
            kind,
            schema_version: self.schema_version,
            type_name,
            ttl: self.ttl.map(Ttl::into_contract),
        });
        self.declare_migrations(Layout { kind, lifetime: Some(lifetime), is_raw: false }, holds);
        (state, lifetime)
    }

    fn declare_migrations(self, layout: Layout, holds: Types) {
        let Self { setup, name: state, schema_version, steps, .. } = self;
        let is_keyed = layout.lifetime.is_some();
        if let Err(problem) = migration::check(&steps, schema_version, holds, is_keyed) {
            setup.complain(format_args!("state `{state}`: {problem}"));
        }
        if !steps.is_empty() {
            setup.migrations.push(Migrations { state, layout, steps });
        }
    }
}

/// The name of a type without the modules it is in, so that moving a type changes no declaration.
pub(crate) fn short_type_name<T: ?Sized>() -> String {
    shorten(std::any::type_name::<T>())
}

fn shorten(type_name: &str) -> String {
    let mut short = String::new();
    let mut segment = 0;
    let mut rest = type_name;
    while let Some(character) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::") {
            short.truncate(segment);
            rest = after;
            continue;
        }
        short.push(character);
        if !character.is_alphanumeric() && character != '_' {
            segment = short.len();
        }
        rest = &rest[character.len_utf8()..];
    }
    short
}

#[cfg(test)]
mod tests;
