//! What a function says about itself before anything runs. Mirrors `declarations` of the contract.

use serde::{Deserialize, Serialize};

use super::Ttl;

/// How the host feeds a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One input without keys.
    Process,
    /// One input with keys; keyed state and timers.
    KeyedProcess,
    /// Two inputs with keys of one type.
    CoProcess,
    /// A data input without keys and a broadcast input.
    BroadcastProcess,
    /// A data input with keys and a broadcast input.
    KeyedBroadcastProcess,
    /// One input; its output goes to sinks only.
    Sink,
    /// No input: the host polls it.
    Source,
}

/// The index of the broadcast input of a function that has one.
const BROADCAST_INPUT: usize = 1;

impl Kind {
    /// The word of the job file and of `inspect`.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Process => "process",
            Kind::KeyedProcess => "keyed-process",
            Kind::CoProcess => "co-process",
            Kind::BroadcastProcess => "broadcast-process",
            Kind::KeyedBroadcastProcess => "keyed-broadcast-process",
            Kind::Sink => "sink",
            Kind::Source => "source",
        }
    }

    /// Whether it has keyed state and timers.
    pub fn is_keyed(self) -> bool {
        matches!(self, Kind::KeyedProcess | Kind::CoProcess | Kind::KeyedBroadcastProcess)
    }

    /// Whether the records of an input come with keys.
    pub fn has_keys(self, input: usize) -> bool {
        self.is_keyed() && !self.is_broadcast(input)
    }

    /// Whether every partition gets all records of an input.
    pub fn is_broadcast(self, input: usize) -> bool {
        self.has_broadcast() && input == BROADCAST_INPUT
    }

    /// Whether it has a broadcast input.
    pub fn has_broadcast(self) -> bool {
        matches!(self, Kind::BroadcastProcess | Kind::KeyedBroadcastProcess)
    }
}

/// How records are written, so that the host can find a field in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated; fields by position.
    Csv,
    /// One JSON object; fields by name.
    Json,
    /// UTF-8 text; fields by position if it is comma-separated.
    Lines,
    /// Anything; no fields.
    Bytes,
}

/// An input of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Input {
    /// Unique within the function.
    pub name: String,
    /// What the function decodes a record into, for people.
    pub type_name: String,
}

/// An output of a function. The first is the main output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// Job files say `operator.name`.
    pub name: String,
    /// How its records are written.
    pub format: Format,
}

/// The kinds of keyed state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateKind {
    /// One value.
    Value,
    /// Elements in order.
    List,
    /// Entries by key.
    Map,
    /// One value, folded by a reduce function.
    Reducing,
    /// One accumulator, folded by an aggregate function.
    Aggregating,
}

/// A keyed state of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateDeclaration {
    /// Names the state in checkpoints.
    pub name: String,
    /// Which operations it has.
    pub kind: StateKind,
    /// Raised by the author when the encoding changes.
    pub schema_version: u32,
    /// For people, and to compare versions.
    pub type_name: String,
    /// How long it lives without an access; none = for ever.
    pub ttl: Option<Ttl>,
}

/// What becomes of an operator state when a job is restored with another parallelism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Redistribution {
    /// A list whose elements are dealt out in turn.
    EvenSplit,
    /// A list that each partition gets whole.
    Union,
    /// A map of which each partition gets a copy.
    Broadcast,
}

impl Redistribution {
    /// Which operations the state has, and how it is encoded.
    pub fn kind(self) -> StateKind {
        match self {
            Self::EvenSplit | Self::Union => StateKind::List,
            Self::Broadcast => StateKind::Map,
        }
    }

    /// The word for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::EvenSplit => "even-split list",
            Self::Union => "union list",
            Self::Broadcast => "broadcast map",
        }
    }
}

/// An operator state of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OperatorStateDeclaration {
    /// Names the state in checkpoints.
    pub name: String,
    /// Who gets what of it at another parallelism.
    pub redistribution: Redistribution,
    /// Raised by the author when the encoding changes.
    pub schema_version: u32,
    /// For people, and to compare versions.
    pub type_name: String,
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Parameter {
    /// The key below `[operator.params]`.
    pub name: String,
    /// For people: "duration", "integer", …
    pub type_name: String,
    /// What the function takes where the job file is silent; none if the job file must say.
    pub default: Option<String>,
}

/// All that a function declares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Declaration {
    /// How the host feeds it.
    pub kind: Kind,
    /// In the order of the job file's `inputs`.
    pub inputs: Vec<Input>,
    /// The main output first.
    pub outputs: Vec<Output>,
    /// Keyed states.
    pub states: Vec<StateDeclaration>,
    /// Operator states.
    pub operator_states: Vec<OperatorStateDeclaration>,
    /// Parameters.
    pub parameters: Vec<Parameter>,
    /// Whether it registers timers.
    pub timers: bool,
    /// Whether it can extract keys (`partition = "function"`).
    pub extracts_keys: bool,
}

impl Declaration {
    /// Whether there is operator state that timers, or records with keys, can change.
    pub fn timers_write_operator_state(&self) -> bool {
        let is_written =
            |state: &OperatorStateDeclaration| state.redistribution != Redistribution::Broadcast;
        self.timers && self.operator_states.iter().any(is_written)
    }
}
