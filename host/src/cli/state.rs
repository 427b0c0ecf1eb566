//! `tidegate state`: what operators remember in a checkpoint or savepoint, without their functions.

use std::fmt::Write;

use serde_json::{Value, json};

use super::failure::Failure;
use super::status::count;
use super::ui::Ui;
use crate::checkpoint::catalog::{self, Located};
use crate::checkpoint::manifest::OperatorState;
use crate::checkpoint::reading;
use crate::error::Error;
use crate::model::{STAMP_BYTES, StateKind};
use crate::state::entry::{Entry, EntryKind};

/// Look into the state of a checkpoint or savepoint
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate state list checkpoints/chk-17\n  \
    tidegate state get checkpoints/chk-17 pv count user_3\n\n\
    Values are as the function encoded them: text if they are UTF-8, else hexadecimal. Operator\n\
    states have a partition instead of a key.")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List sources with the offsets at which they go on, and operators with their states
    List {
        /// Folder of a checkpoint or savepoint
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Print one state of one key as a line of JSON
    Get {
        /// Folder of a checkpoint or savepoint
        #[arg(value_name = "PATH")]
        path: String,
        /// The operator's id
        operator: String,
        /// The state's name
        state: String,
        /// The key
        key: String,
    },
    /// Print entries as lines of JSON: of all operators, of one, or one state of it
    Export {
        /// Folder of a checkpoint or savepoint
        #[arg(value_name = "PATH")]
        path: String,
        /// The operator's id
        operator: Option<String>,
        /// The state's name
        state: Option<String>,
    },
}

/// Runs one of the commands.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    match &arguments.command {
        Command::List { path } => list(&catalog::locate(path)?, ui),
        Command::Get { path, operator, state, key } => {
            let wanted = Wanted { operator: Some(operator), state: Some(state), key: Some(key) };
            let located = catalog::locate(path)?;
            if export(&located, &wanted, ui)? > 0 {
                return Ok(());
            }
            let message = format!(
                "key {key:?} has no state {state:?} in operator {operator:?} of {}",
                located.place()
            );
            let hint = format!("`tidegate state export {path} {operator} {state}` shows all keys");
            Err(Error::input(message).hint(hint).into())
        }
        Command::Export { path, operator, state } => {
            let (operator, state) = (operator.as_deref(), state.as_deref());
            export(&catalog::locate(path)?, &Wanted { operator, state, key: None }, ui).map(drop)
        }
    }
}

fn list(located: &Located, ui: &Ui) -> Result<(), Failure> {
    let mut text = String::new();
    for source in located.manifest.sources.iter().filter(|one| !one.position.offsets.is_empty()) {
        let splits = count(source.position.offsets.len() as u64, "split");
        writeln!(text, "{}: {splits}, offsets (source)", source.id).expect("a string takes all");
        for (split, offset) in &source.position.offsets {
            writeln!(text, "  {split} at {offset}").expect("a string takes everything");
        }
    }
    for operator in &located.manifest.operators {
        let partitions = count(operator.partitions.len() as u64, "partition");
        let mut line = format!("{}: {partitions}", operator.id);
        for state in &operator.states {
            let kind = format!("{:?}", state.kind).to_lowercase();
            write!(line, ", {} ({kind})", state.name).expect("a string takes everything");
        }
        for state in &operator.operator_states {
            let kind = state.redistribution.name();
            write!(line, ", {} ({kind})", state.name).expect("a string takes everything");
        }
        writeln!(text, "{line}").expect("a string takes everything");
    }
    ui.answer(text.trim_end())
}

/// Which entries are wanted; none = all.
struct Wanted<'a> {
    operator: Option<&'a str>,
    state: Option<&'a str>,
    key: Option<&'a str>,
}

/// Prints what is wanted; returns how many entries that were.
fn export(located: &Located, wanted: &Wanted<'_>, ui: &Ui) -> Result<u64, Failure> {
    check(located, wanted)?;
    let groups = 0..located.manifest.max_parallelism;
    let is_wanted = |wanted: Option<&str>, id: &str| wanted.is_none_or(|wanted| wanted == id);
    let mut found = 0;
    let operators = located.manifest.operators.iter();
    for operator in operators.filter(|operator| is_wanted(wanted.operator, &operator.id)) {
        for (index, partition) in operator.partitions.iter().enumerate() {
            let mut lines = Vec::new();
            reading::for_each_entry(&*located.storage, partition, &groups, |_, entry| {
                let (name, kind, value) = describe(operator, entry);
                let is_key = wanted.key.is_none_or(|key| key.as_bytes() == entry.key);
                if is_wanted(wanted.state, &name) && is_key {
                    let (operator, key) = (&operator.id, text(entry.key));
                    lines.push(json!({
                        "operator": operator, "state": name, "kind": kind, "key": key,
                        "value": value,
                    }));
                }
                Ok(())
            })?;
            if wanted.key.is_none() {
                let cells = reading::operator_cells(&*located.storage, partition)?;
                let states = operator.operator_states.iter().zip(cells.unwrap_or_default());
                for (state, cell) in states.filter(|(one, _)| is_wanted(wanted.state, &one.name)) {
                    let how = state.redistribution;
                    lines.push(json!({
                        "operator": operator.id, "state": state.name, "kind": how.name(),
                        "partition": index, "value": collection(how.kind(), 0, &cell),
                    }));
                }
            }
            found += lines.len() as u64;
            lines.iter().try_for_each(|line| ui.answer(line.to_string()))?;
        }
    }
    Ok(found)
}

/// Refuses names that the checkpoint does not have.
fn check(located: &Located, wanted: &Wanted<'_>) -> Result<(), Error> {
    let operators = &located.manifest.operators;
    let Some(id) = wanted.operator else { return Ok(()) };
    let Some(operator) = operators.iter().find(|operator| operator.id == id) else {
        let ids: Vec<&str> = operators.iter().map(|operator| operator.id.as_str()).collect();
        let message = format!("{} has no operator {id:?}", located.place());
        return Err(Error::input(message).hint(format!("it has {}", ids.join(", "))));
    };
    let Some(name) = wanted.state else { return Ok(()) };
    let names = operator.states.iter().map(|state| state.name.as_str());
    let of_operator = operator.operator_states.iter().map(|state| state.name.as_str());
    let names = names.chain(of_operator);
    let names: Vec<&str> = names.chain([EVENT_TIMERS, PROCESSING_TIMERS]).collect();
    if names.contains(&name) {
        return Ok(());
    }
    let message = format!("operator {id:?} has no state {name:?}");
    Err(Error::input(message).hint(format!("it has {}", names.join(", "))))
}

/// Timers are shown as states of these names.
const EVENT_TIMERS: &str = "(event-time timers)";
const PROCESSING_TIMERS: &str = "(processing-time timers)";

/// Name, kind and value of an entry.
fn describe(operator: &OperatorState, entry: Entry<'_>) -> (String, String, Value) {
    let timer = |name: &str| {
        let time = entry.value.try_into().map(i64::from_le_bytes);
        (name.to_owned(), "timer".to_owned(), json!(time.ok()))
    };
    match entry.kind {
        EntryKind::EventTimer => timer(EVENT_TIMERS),
        EntryKind::ProcessingTimer => timer(PROCESSING_TIMERS),
        EntryKind::State(index) => match operator.states.get(usize::from(index)) {
            None => (format!("(state {index})"), "unknown".into(), text(entry.value)),
            Some(state) => {
                // The access times of state with a time to live are not the function's.
                let skip = if state.stamped.is_some() { STAMP_BYTES } else { 0 };
                let value = match state.kind {
                    kind @ (StateKind::List | StateKind::Map) => {
                        collection(kind, skip, entry.value)
                    }
                    _ => text(entry.value.get(skip..).unwrap_or_default()),
                };
                (state.name.clone(), format!("{:?}", state.kind).to_lowercase(), value)
            }
        },
    }
}

/// The elements of a list or the entries of a map, whose values begin with `skip` bytes that are
/// not the function's.
fn collection(kind: StateKind, skip: usize, encoded: &[u8]) -> Value {
    let payload = |stored: &[u8]| text(stored.get(skip..).unwrap_or_default());
    let strings = strings(encoded);
    if kind == StateKind::List {
        return strings.into_iter().map(payload).collect();
    }
    let pairs = strings.chunks(2).map(|pair| match pair {
        [key, value] => Value::Array(vec![text(key), payload(value)]),
        rest => rest.iter().map(|string| text(string)).collect(),
    });
    pairs.collect()
}

/// The strings of a list or map, each after its length.
fn strings(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut strings = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = (u32::from_le_bytes(*length) as usize).min(rest.len());
        let (string, after) = rest.split_at(length);
        strings.push(string);
        bytes = after;
    }
    strings
}

/// Text, or what is none as `{"hex": …}`.
fn text(bytes: &[u8]) -> Value {
    let is_shown = |text: &&str| !text.chars().any(char::is_control);
    match std::str::from_utf8(bytes).ok().filter(is_shown) {
        Some(text) => json!(text),
        None => {
            let hex = bytes.iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
            json!({ "hex": hex })
        }
    }
}
