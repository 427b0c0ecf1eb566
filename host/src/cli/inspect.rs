//! `tidegate inspect`: what a component declares and imports.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;

use super::engine;
use super::failure::Failure;
use super::ui::Ui;
use crate::error::Error;
use crate::job::{show_bytes, show_duration};
use crate::model::Declaration;
use crate::wasm::{CONTRACT_VERSION, Component};

/// Show what a component declares and imports
#[derive(clap::Args)]
#[command(after_help = "Example:\n  tidegate inspect periodic_pv.wasm")]
pub struct Arguments {
    /// The component
    #[arg(value_name = "FILE.wasm")]
    file: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// Loads the component, which refuses it as `check` would, and prints it.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    let file = arguments.file.display();
    if !arguments.file.exists() {
        let hint = "`tidegate build CRATE` makes components and prints their paths";
        return Err(Error::input(format!("there is no file {file}")).hint(hint).into());
    }
    let component = Component::load(&engine::start(ui)?, &arguments.file)?;
    let size = component.bytes().len() as u64;
    if arguments.json {
        let answer = json!({
            "file": arguments.file,
            "size_bytes": size,
            "digest": component.digest(),
            "contract": CONTRACT_VERSION,
            "imports": component.imports(),
            "declaration": component.declaration(),
        });
        return ui.answer(format!("{answer:#}"));
    }
    let heading = format!("{file}: {} function", component.declaration().kind.name());
    let mut text = format!("{heading} ({}, contract {CONTRACT_VERSION})", show_bytes(size));
    let _ = write!(text, "\n  digest: {}", component.digest());
    describe(&mut text, component.declaration());
    list(&mut text, "imports", component.imports().to_vec());
    ui.answer(text)
}

fn describe(text: &mut String, declaration: &Declaration) {
    let inputs =
        declaration.inputs.iter().map(|input| format!("{}: {}", input.name, input.type_name));
    list(text, "inputs", inputs.collect());
    let format = |format| match serde_json::to_value(format) {
        Ok(serde_json::Value::String(word)) => word,
        _ => format!("{format:?}"),
    };
    let outputs = declaration.outputs.iter();
    let outputs = outputs.map(|output| format!("{}: {}", output.name, format(output.format)));
    list(text, "outputs", outputs.collect());
    let states = declaration.states.iter().map(|state| {
        let (name, kind, type_name) = (&state.name, state.kind, &state.type_name);
        let life = state.ttl.map(|ttl| {
            let domain = format!("{:?}", ttl.domain).to_lowercase();
            format!(
                ", lives {} in {domain} time",
                show_duration(Duration::from_millis(ttl.time_ms))
            )
        });
        format!(
            "{name}: {kind:?} of {type_name}, schema version {}{}",
            state.schema_version,
            life.unwrap_or_default()
        )
    });
    list(text, "states", states.collect());
    let operator_states = declaration.operator_states.iter().map(|state| {
        let (name, how, type_name) = (&state.name, state.redistribution.name(), &state.type_name);
        format!("{name}: {how} of {type_name}, schema version {}", state.schema_version)
    });
    list(text, "operator states", operator_states.collect());
    let parameters = declaration.parameters.iter().map(|parameter| {
        let default = match &parameter.default {
            Some(default) => format!("default {default}"),
            None => "required".into(),
        };
        format!("{}: {}, {default}", parameter.name, parameter.type_name)
    });
    list(text, "parameters", parameters.collect());
    let timers = if declaration.timers { "yes" } else { "no" };
    let _ = write!(text, "\n  timers: {timers}");
    if declaration.kind.is_keyed() {
        let keys = if declaration.extracts_keys { "yes" } else { "no, the job file names a field" };
        let _ = write!(text, "\n  extracts keys: {keys}");
    }
}

fn list(text: &mut String, name: &str, items: Vec<String>) {
    match items.as_slice() {
        [] => {
            let _ = write!(text, "\n  {name}: none");
        }
        [item] => {
            let _ = write!(text, "\n  {name}: {item}");
        }
        items => {
            let _ = write!(text, "\n  {name}:");
            for item in items {
                let _ = write!(text, "\n    {item}");
            }
        }
    }
}
