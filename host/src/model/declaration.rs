//! What a function says about itself before anything runs. Mirrors `declarations` of the contract.

use serde::{Deserialize, Serialize};

use super::Ttl;

/// How the host feeds a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    /// One input, no outputs.
    Sink,
    /// No input.
    Source,
}

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

    /// Whether its records come with keys.
    pub fn is_keyed(self) -> bool {
        matches!(self, Kind::KeyedProcess | Kind::CoProcess | Kind::KeyedBroadcastProcess)
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
    /// Parameters.
    pub parameters: Vec<Parameter>,
    /// Whether it registers timers.
    pub timers: bool,
    /// Whether it can extract keys (`partition = "function"`).
    pub extracts_keys: bool,
}
