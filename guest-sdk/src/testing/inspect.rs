//! What a test can look at: outputs, state and timers.

use serde::de::DeserializeOwned;

use super::harness::Harness;
use super::store::Stored;
use crate::bindings::tidegate::function::declarations::{Declaration, StateKind};
use crate::context::TimeDomain;
use crate::error::{Error, Result};
use crate::state::{decode, payload};

/// The index of the main output.
const MAIN: usize = 0;

impl<M> Harness<M> {
    /// What the function declares about itself.
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// Takes what was sent to the main output, as lines of text.
    ///
    /// # Panics
    /// If a record is not UTF-8.
    pub fn take_output(&mut self) -> Vec<String> {
        std::mem::take(&mut self.outputs[MAIN]).into_iter().map(text).collect()
    }

    /// Takes what was sent to the main output.
    pub fn take_output_bytes(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.outputs[MAIN])
    }

    /// Takes what was sent to a side output, as lines of text.
    ///
    /// # Panics
    /// If the function declares no such output, or a record is not UTF-8.
    pub fn take_side_output(&mut self, name: &str) -> Vec<String> {
        let outputs = &self.declaration.outputs;
        let Some(index) = outputs.iter().position(|output| output.name == name) else {
            panic!("the function declares no output `{name}`");
        };
        std::mem::take(&mut self.outputs[index]).into_iter().map(text).collect()
    }

    /// What a value state holds for a key, also if its time to live has passed. Of a reducing state
    /// it is the reduction, of an aggregating state the accumulator.
    ///
    /// # Errors
    /// If there is no such state, or what it holds is not a `T`.
    pub fn value_state<T: DeserializeOwned>(
        &self,
        name: &str,
        key: impl AsRef<[u8]>,
    ) -> Result<Option<T>> {
        match self.stored(name, key.as_ref(), is_value)? {
            Some(Stored::Value(bytes)) => decode(self.payload(name, bytes)).map(Some),
            _ => Ok(None),
        }
    }

    /// What a list state holds for a key.
    ///
    /// # Errors
    /// If there is no such state, or what it holds is not a `T`.
    pub fn list_state<T: DeserializeOwned>(
        &self,
        name: &str,
        key: impl AsRef<[u8]>,
    ) -> Result<Vec<T>> {
        match self.stored(name, key.as_ref(), |kind| kind == StateKind::List)? {
            Some(Stored::List(elements)) => {
                elements.iter().map(|bytes| decode(self.payload(name, bytes))).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What a map state holds for a key, ascending by the encoded keys of the map.
    ///
    /// # Errors
    /// If there is no such state, or what it holds is not a `K` or a `V`.
    pub fn map_state<K: DeserializeOwned, V: DeserializeOwned>(
        &self,
        name: &str,
        key: impl AsRef<[u8]>,
    ) -> Result<Vec<(K, V)>> {
        match self.stored(name, key.as_ref(), |kind| kind == StateKind::Map)? {
            Some(Stored::Map(entries)) => {
                let entry = |(key, value): (&Vec<u8>, &Vec<u8>)| {
                    Ok((decode(key)?, decode(self.payload(name, value))?))
                };
                entries.iter().map(entry).collect()
            }
            _ => Ok(Vec::new()),
        }
    }

    /// What an even-split or union list of the partition holds.
    ///
    /// # Errors
    /// If there is no such state, or what it holds is not a `T`.
    pub fn operator_list_state<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>> {
        match self.stored_of_operator(name)? {
            Some(Stored::List(elements)) => elements.iter().map(|bytes| decode(bytes)).collect(),
            Some(_) => Err(Error::msg(format_args!("state `{name}` is broadcast state"))),
            None => Ok(Vec::new()),
        }
    }

    /// What a raw operator state holds.
    ///
    /// # Errors
    /// If there is no such state.
    pub fn raw_operator_state(&self, name: &str) -> Result<Vec<Vec<u8>>> {
        match self.stored_of_operator(name)? {
            Some(Stored::List(elements)) => Ok(elements.clone()),
            _ => Ok(Vec::new()),
        }
    }

    /// What a broadcast state holds, ascending by the encoded keys of the map.
    ///
    /// # Errors
    /// If there is no such state, or what it holds is not a `K` or a `V`.
    pub fn broadcast_state<K: DeserializeOwned, V: DeserializeOwned>(
        &self,
        name: &str,
    ) -> Result<Vec<(K, V)>> {
        match self.stored_of_operator(name)? {
            Some(Stored::Map(entries)) => {
                entries.iter().map(|(key, value)| Ok((decode(key)?, decode(value)?))).collect()
            }
            Some(_) => Err(Error::msg(format_args!("state `{name}` is a list"))),
            None => Ok(Vec::new()),
        }
    }

    fn stored_of_operator(&self, name: &str) -> Result<Option<&Stored>> {
        Ok(self.store.operator.get(self.find_operator_state(name)?))
    }

    /// The index of an operator state.
    pub(super) fn find_operator_state(&self, name: &str) -> Result<usize> {
        let states = &self.declaration.operator_states;
        states.iter().position(|state| state.name == name).ok_or_else(|| {
            Error::msg(format_args!("the function declares no operator state `{name}`"))
        })
    }

    /// The times of a key's event-time timers, ascending.
    pub fn event_time_timers(&self, key: impl AsRef<[u8]>) -> Vec<i64> {
        self.store.timers_of(TimeDomain::EventTime, key.as_ref())
    }

    /// The times of a key's processing-time timers, ascending.
    pub fn processing_time_timers(&self, key: impl AsRef<[u8]>) -> Vec<i64> {
        self.store.timers_of(TimeDomain::ProcessingTime, key.as_ref())
    }

    /// What a state stores without the time of the last access.
    fn payload<'b>(&self, state: &str, stored: &'b [u8]) -> &'b [u8] {
        let states = &self.declaration.states;
        let has_ttl = states.iter().any(|other| other.name == state && other.ttl.is_some());
        if has_ttl { payload(stored) } else { stored }
    }

    fn stored(
        &self,
        name: &str,
        key: &[u8],
        is_kind: impl Fn(StateKind) -> bool,
    ) -> Result<Option<&Stored>> {
        Ok(self.store.get(self.find_state(name, is_kind)?, key))
    }

    /// The index of a keyed state.
    pub(super) fn find_state(
        &self,
        name: &str,
        is_kind: impl Fn(StateKind) -> bool,
    ) -> Result<usize> {
        let states = &self.declaration.states;
        let Some(index) = states.iter().position(|state| state.name == name) else {
            let names: Vec<&str> = states.iter().map(|state| state.name.as_str()).collect();
            return Err(Error::msg(format_args!(
                "the function declares no state `{name}`, only {names:?}"
            )));
        };
        let kind = states[index].kind;
        if !is_kind(kind) {
            return Err(Error::msg(format_args!("state `{name}` is of kind {kind:?}")));
        }
        Ok(index)
    }
}

fn is_value(kind: StateKind) -> bool {
    !matches!(kind, StateKind::List | StateKind::Map)
}

fn text(record: Vec<u8>) -> String {
    match String::from_utf8(record) {
        Ok(text) => text,
        Err(error) => panic!("the record {:?} is not UTF-8 text", error.as_bytes()),
    }
}
