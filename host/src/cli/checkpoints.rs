//! `tidegate checkpoints`: what lies in a checkpoint storage, whether it is whole, and removing it.

use std::fmt::Write;
use std::path::Path;

use super::failure::Failure;
use super::status::count;
use super::ui::Ui;
use crate::checkpoint::catalog::{self, Candidate, Catalog, Located};
use crate::checkpoint::manifest::Kind;
use crate::checkpoint::storage;
use crate::error::Error;
use crate::job::show_bytes;

/// List, show, verify and delete checkpoints
#[derive(clap::Args)]
#[command(after_help = "Examples:\n  \
    tidegate checkpoints list checkpoints/\n  \
    tidegate checkpoints verify checkpoints/chk-17")]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the checkpoints and savepoints of a checkpoint storage
    List {
        /// A folder, or s3://BUCKET/PREFIX
        #[arg(value_name = "DIR")]
        storage: String,
    },
    /// Print the manifest of a checkpoint or savepoint as JSON
    Show {
        /// Its folder
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Read every file of a checkpoint or savepoint and compare it with what was written
    Verify {
        /// Its folder
        #[arg(value_name = "PATH")]
        path: String,
    },
    /// Delete checkpoints of a job that does not run
    Delete {
        /// A folder, or s3://BUCKET/PREFIX
        #[arg(value_name = "DIR")]
        storage: String,
        /// Their numbers
        #[arg(value_name = "ID", required = true)]
        ids: Vec<u64>,
    },
}

/// Where checkpoints are to be looked for.
const NAME_STORAGE: &str = "name the folder of `checkpoint.storage` in the job file";

/// Runs one of the commands.
pub fn run(arguments: &Arguments, ui: &Ui) -> Result<(), Failure> {
    match &arguments.command {
        Command::List { storage } => list(storage, ui),
        Command::Show { path } => {
            let manifest = catalog::locate(path)?.manifest;
            let json = serde_json::to_string_pretty(&manifest).expect("a manifest is plain data");
            ui.answer(json)
        }
        Command::Verify { path } => {
            let located = catalog::locate(path)?;
            let verified = located.verify()?;
            let (files, bytes) = (verified.files, show_bytes(verified.bytes));
            ui.answer(format!("{} is whole: {files} files, {bytes}", located.place()))
        }
        Command::Delete { storage, ids } => delete(storage, ids, ui),
    }
}

fn open(url: &str) -> Result<Catalog, Failure> {
    Ok(Catalog::new(storage::open(url, Path::new(""))?))
}

fn list(url: &str, ui: &Ui) -> Result<(), Failure> {
    let catalog = open(url)?;
    let entries = catalog.entries()?;
    if entries.is_empty() {
        if catalog.finished()?.is_some() {
            ui.story("The job has finished, so its checkpoints have no use any more.");
            return Ok(());
        }
        let message = format!("{url} holds no checkpoints");
        return Err(Error::input(message).hint(NAME_STORAGE).into());
    }
    let mut text = String::new();
    for Candidate { name, located, .. } in &entries {
        let line = match located {
            Ok(Located { manifest, .. }) => format!(
                "{name}  {} of job {}  {}  {}",
                manifest.kind.word(),
                manifest.job,
                show_bytes(manifest.files().map(|file| file.bytes).sum()),
                count(manifest.operators.len() as u64, "operator"),
            ),
            Err(error) => format!("{name}  {}", error.full_text()),
        };
        writeln!(text, "{line}").expect("a string takes everything");
    }
    ui.answer(text.trim_end())
}

fn delete(url: &str, ids: &[u64], ui: &Ui) -> Result<(), Failure> {
    let catalog = open(url)?;
    let entries = catalog.entries()?;
    for id in ids {
        let is_it = |entry: &Candidate| entry.kind == Kind::Checkpoint && entry.id == *id;
        if !entries.iter().any(is_it) {
            let message = format!("{url} holds no checkpoint {id}; nothing was deleted");
            let hint = match catalog.names_of_entries() {
                Some(names) => format!("it holds {names}; savepoints are removed as folders"),
                None => NAME_STORAGE.into(),
            };
            return Err(Error::input(message).hint(hint).into());
        }
    }
    catalog.delete(ids)?;
    let names: Vec<String> = ids.iter().map(|id| format!("chk-{id}")).collect();
    ui.story(format!("Deleted {}.", names.join(", ")));
    Ok(())
}
