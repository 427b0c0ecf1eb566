//! `tidegate replay`: makes a captured call again, with any version of its function.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::json;

use super::engine;
use super::failure::Failure;
use super::ui::Ui;
use crate::error::Error;
use crate::flow::read_fixture;
use crate::model::{Fault, FaultReason};
use crate::operator::{Fixture, replay};
use crate::wasm::{Component, LogSink, NamedChange, NamedChanges, NamedEffects, TimerOperation};

/// Make a captured call again and show what it does
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate run job.toml --capture faults/\n  \
    tidegate replay faults/pv-0-0.json --component periodic_pv.wasm\n\n\
    Exit status 0 if the call has effects, 3 if the function faults. The same component gives the \
    same bytes each time, and so does another one that does the same.")]
pub struct Arguments {
    /// The captured call
    #[arg(value_name = "FIXTURE")]
    fixture: PathBuf,
    /// The component to call: the one that faulted, or another version of it
    #[arg(long, value_name = "FILE.wasm")]
    component: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Reads the call, makes it, prints its effects or the fault.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let fixture = read_fixture(&arguments.fixture)?;
    let component = Component::load(&engine::start(ui)?, &arguments.component)?;
    let log_ui = *ui;
    let log = LogSink::new(move |level, line| log_ui.log(level, line));
    let replayed = replay(&fixture, &component, log)?;
    replayed.notes.iter().for_each(|note| ui.warning(note));
    if component.digest() == &fixture.component {
        ui.story("The component is the one that was captured.");
    } else {
        ui.story(format!("The component is another one than was captured, {}.", fixture.component));
    }
    match replayed.outcome {
        Ok(effects) => ui.answer(show_effects(&effects, &fixture, arguments.json)),
        Err(fault) => {
            ui.answer(show_fault(&fault, &fixture, arguments.json))?;
            let (operator, position) = (&fixture.operator, &fixture.position);
            Err(Error::guest(format!("the function of {operator:?} faults at {position}")).into())
        }
    }
}

/// Whether a fault is the one that was captured. The guest's frames may differ, as another version
/// has other lines; so may the memory that it wanted, which calls before it have used, too.
fn is_as_captured(fault: &Fault, fixture: &Fixture) -> bool {
    let captured = &fixture.fault;
    let is_memory = fault.reason == FaultReason::Memory;
    fault.reason == captured.reason && (is_memory || fault.message == captured.message)
}

fn show_effects(effects: &NamedEffects, fixture: &Fixture, json: bool) -> String {
    if json {
        return format!("{:#}", json!({ "as_captured": false, "effects": effects }));
    }
    let mut text = format!("Effects, where a fault was captured: {}", fixture.fault);
    let mut list = |heading: &str, lines: Vec<String>| {
        let lines = if lines.is_empty() { vec!["none".into()] } else { lines };
        let _ = write!(text, "\n{heading}:");
        text.extend(lines.iter().map(|line| format!("\n  {line}")));
    };
    let outputs = effects.outputs.iter().flat_map(|(output, records)| {
        records.iter().map(move |one| format!("{output}: {} (of {})", one.record, one.cause))
    });
    list("outputs", outputs.collect());
    list("states", effects.states.iter().map(show_changes).collect());
    list("operator states", effects.operator_states.iter().map(show_changes).collect());
    let timers = effects.timers.iter().map(|timer| {
        let domain = format!("{:?}", timer.domain).to_lowercase();
        let operation = match timer.operation {
            TimerOperation::Register => "register",
            TimerOperation::Delete => "delete",
        };
        format!("{operation} {domain} {} of {}", timer.timestamp, timer.key)
    });
    list("timers", timers.collect());
    text
}

fn show_changes(changes: &NamedChanges) -> String {
    let NamedChanges { state, key, changes } = changes;
    let key = key.as_ref().map(|key| format!(" of {key}")).unwrap_or_default();
    let changes: Vec<String> = changes
        .iter()
        .map(|change| match change {
            NamedChange::Clear => "clear".into(),
            NamedChange::Put(value) => format!("put {value}"),
            NamedChange::Append(element) => format!("append {element}"),
            NamedChange::PutEntry(key, value) => format!("put {value} under {key}"),
            NamedChange::RemoveEntry(key) => format!("remove {key}"),
        })
        .collect();
    format!("{state}{key}: {}", changes.join(", "))
}

fn show_fault(fault: &Fault, fixture: &Fixture, json: bool) -> String {
    let as_captured = is_as_captured(fault, fixture);
    if json {
        return format!("{:#}", json!({ "as_captured": as_captured, "fault": fault }));
    }
    let mut text = match as_captured {
        true => format!("The fault that was captured: {fault}"),
        false => format!("Another fault: {fault}\ncaptured was: {}", fixture.fault),
    };
    if !fault.backtrace.is_empty() {
        text.push_str("\nguest backtrace, innermost first:");
        text.extend(fault.backtrace.iter().map(|frame| format!("\n    {frame}")));
    }
    text
}
