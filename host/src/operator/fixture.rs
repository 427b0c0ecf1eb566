//! A call that was captured: everything that its effects depend on, but for the function itself. As
//! it is kept in a file, for people to read and for `replay` to make the call again.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::model::{
    Bytes, Digest, Fault, Kind, Limits, Redistribution, StateKind, TimeDomain, Ttl,
};
use crate::state::is_encoding;

/// The version of the form. It rises when fixtures change so that an older program would read them
/// wrongly.
pub const FIXTURE_VERSION: u32 = 1;

/// A call and its surroundings. State and inputs of it are known by name, so that another version
/// of the function can be called with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fixture {
    /// [`FIXTURE_VERSION`].
    pub version: u32,
    /// The component that was called.
    pub component: Digest,
    /// The contract that it speaks.
    pub contract: String,
    /// The operator's id.
    pub operator: String,
    /// Index of the partition.
    pub partition: u32,
    /// How many partitions there were.
    pub parallelism: u32,
    /// What the job file set.
    pub params: Vec<(String, String)>,
    /// What the function might use.
    pub limits: Limits,
    /// How the host fed it.
    pub kind: Kind,
    /// The keyed states that it declared.
    pub states: Vec<FixtureState>,
    /// The operator states that it declared.
    pub operator_states: Vec<FixtureOperatorState>,
    /// The host's clock, in milliseconds.
    pub processing_time: i64,
    /// The distinct keys, and all that they had.
    pub keys: Vec<FixtureKey>,
    /// By name, what each operator state held, encoded as the state of a key; none if no call had
    /// been applied yet.
    pub operator_state: Option<BTreeMap<String, Bytes>>,
    /// What the call was about.
    pub input: FixtureInput,
    /// Where the record came from, or which timer it was.
    pub position: String,
    /// What the function did wrong.
    pub fault: Fault,
}

/// A keyed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureState {
    /// Its name.
    pub name: String,
    /// Which operations it has.
    pub kind: StateKind,
    /// The author's number of its encoding.
    pub schema_version: u32,
    /// For people.
    pub type_name: String,
    /// How long it lived in the job.
    pub ttl: Option<Ttl>,
}

/// An operator state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureOperatorState {
    /// Its name.
    pub name: String,
    /// Who gets what of it at another parallelism.
    pub redistribution: Redistribution,
    /// The author's number of its encoding.
    pub schema_version: u32,
    /// For people.
    pub type_name: String,
}

/// A key of the call, and all that it had before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureKey {
    /// The key.
    pub key: Bytes,
    /// By name, each state that it had, in the encoding of the contract's `state-column`, whole.
    pub states: BTreeMap<String, Bytes>,
    /// When its event-time timers were due that were pending, ascending.
    pub event_timers: Vec<i64>,
    /// The same in processing time.
    pub processing_timers: Vec<i64>,
}

/// What a call is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum FixtureInput {
    /// Records of one input.
    Records {
        /// Index of the declared input.
        input: u32,
        /// In order of arrival.
        records: Vec<FixtureRecord>,
    },
    /// Timers, of each key one, in the order of the keys.
    Timers {
        /// All of one domain.
        domain: TimeDomain,
        /// When each was due, ascending.
        timestamps: Vec<i64>,
        /// The watermark as each saw it.
        watermarks: Vec<i64>,
    },
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixtureRecord {
    /// Its bytes.
    pub value: Bytes,
    /// Its event time; -9223372036854775808 if it has none.
    pub timestamp: i64,
    /// The watermark before it.
    pub watermark: i64,
    /// The index of its key, if it has one.
    pub key: Option<u32>,
}

impl Fixture {
    /// Whether all of it fits together: a fixture is a file, which anybody may have edited.
    ///
    /// # Errors
    /// Names the first thing that does not.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::input(format!("the fixture cannot be: {what}")));
        if self.version != FIXTURE_VERSION {
            let version = self.version;
            return Err(Error::input(format!(
                "the fixture has version {version}; this program reads {FIXTURE_VERSION}"
            ))
            .hint("replay it with the version of tidegate that captured it"));
        }
        let keyed: BTreeMap<&str, StateKind> =
            self.states.iter().map(|state| (state.name.as_str(), state.kind)).collect();
        let mut seen = BTreeSet::new();
        for key in &self.keys {
            if !seen.insert(&key.key) {
                return wrong(format!("the key {} is there twice", key.key));
            }
            if let Some(problem) = find_problem(&key.states, &keyed) {
                return wrong(format!("{problem} of key {}", key.key));
            }
        }
        let of_operator = self.operator_states.iter();
        let of_operator: BTreeMap<&str, StateKind> =
            of_operator.map(|state| (state.name.as_str(), state.redistribution.kind())).collect();
        let operator_state = self.operator_state.iter();
        let mut problems = operator_state.filter_map(|states| find_problem(states, &of_operator));
        if let Some(problem) = problems.next() {
            return wrong(problem);
        }
        let is_whole = match &self.input {
            FixtureInput::Records { records, .. } => {
                let mut keys = records.iter().map(|record| record.key);
                let is_known = |key: Option<u32>| key.is_some_and(|key| self.has_key(key));
                match self.keys.is_empty() {
                    true => keys.all(|key| key.is_none()),
                    false => keys.all(is_known),
                }
            }
            FixtureInput::Timers { timestamps, watermarks, .. } => {
                timestamps.len() == self.keys.len() && watermarks.len() == self.keys.len()
            }
        };
        if is_whole { Ok(()) } else { wrong("its records or timers do not fit its keys".into()) }
    }

    fn has_key(&self, key: u32) -> bool {
        (key as usize) < self.keys.len()
    }
}

/// What is wrong with states by name, if anything is.
fn find_problem(
    states: &BTreeMap<String, Bytes>,
    declared: &BTreeMap<&str, StateKind>,
) -> Option<String> {
    states.iter().find_map(|(name, Bytes(bytes))| match declared.get(name.as_str()) {
        None => Some(format!("the state {name:?}, which is not among its states,")),
        Some(&kind) if is_encoding(kind, bytes) => None,
        Some(kind) => Some(format!("the state {name:?}, which is no {kind:?},").to_lowercase()),
    })
}
