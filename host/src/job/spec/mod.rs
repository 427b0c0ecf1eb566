//! The job file as the user wrote it: every value read, none of them compared with another yet.
//!
//! ```text
//! text --document--> tree --set--> tree as asked --settings, state, …, source, sink--> JobFile
//! ```
//! Reading goes on after a problem, so that [`crate::job::check`] can tell all of them together.
//! What is wrong between tables, and with files and components, is the business of `check`.

mod checkpoint;
mod document;
mod kafka;
mod mysql;
mod names;
mod operator;
mod problem;
mod restart;
mod section;
mod set;
mod settings;
mod sink;
mod source;
mod state;
#[cfg(test)]
mod tests;
mod ttl;
mod units;
mod values;

use std::path::{Path, PathBuf};

pub use checkpoint::{CheckpointSpec, StorageSpec};
pub use document::Origin;
pub use kafka::{KafkaClientSpec, KafkaSinkSpec, KafkaSourceSpec};
pub use mysql::{MysqlServerSpec, MysqlSinkSpec, MysqlSourceSpec};
pub use names::hint as name_hint;
pub use operator::{InputSpec, OperatorSpec, PartitionSpec};
pub use problem::{Problem, Problems};
pub use section::At;
pub use set::Setting;
pub use settings::JobSpec;
pub use sink::{SinkConnectorSpec, SinkSpec};
pub use source::{FileSourceSpec, FunctionSourceSpec, SourceConnectorSpec, SourceSpec};
pub use state::{BackendSpec, ClassicStorage, StateSpec, StoreSpec};
pub use units::{duration as parse_duration, show_bytes, show_duration};

use super::plan::{RestartPlan, S3};
use document::Table;
use section::Section;

/// A job file.
#[derive(Debug)]
pub struct JobFile {
    /// The file, as the user named it.
    pub path: PathBuf,
    /// The folder that its relative paths start from.
    pub folder: PathBuf,
    /// `[job]`.
    pub job: JobSpec,
    /// `[state]`.
    pub state: StateSpec,
    /// `[checkpoint]`; none if there is none.
    pub checkpoint: Option<CheckpointSpec>,
    /// `[restart]`; none if there is none, or if that is reported.
    pub restart: Option<RestartPlan>,
    /// `[[source]]`, in their order.
    pub sources: Vec<SourceSpec>,
    /// `[[operator]]`, in their order.
    pub operators: Vec<OperatorSpec>,
    /// `[[sink]]`, in their order.
    pub sinks: Vec<SinkSpec>,
    /// What could not be read. `check` tells them with its own.
    pub problems: Vec<Problem>,
}

impl JobFile {
    /// Reads a job file and applies `settings` to it.
    ///
    /// # Errors
    /// If the file cannot be read or is not TOML, or a setting names nothing that is there.
    /// Everything else is kept in `problems`.
    pub fn load(path: &Path, settings: &[Setting]) -> Result<Self, Problems> {
        let refuse = |problem| Problems::new(path.to_owned(), vec![problem]);
        let text =
            std::fs::read_to_string(path).map_err(|cause| refuse(unreadable(path, cause)))?;
        Self::parse(path, &text, settings)
    }

    /// As [`JobFile::load`], of a text that was read already.
    ///
    /// # Errors
    /// As [`JobFile::load`].
    pub fn parse(path: &Path, text: &str, settings: &[Setting]) -> Result<Self, Problems> {
        let refuse = |problems| Problems::new(path.to_owned(), problems);
        let mut document = document::parse(text).map_err(|errors| {
            let problem = |error: document::SyntaxError| {
                Problem::new(&error.origin, format!("not TOML: {}", first_line(&error.message)))
            };
            refuse(errors.into_iter().map(problem).collect())
        })?;
        let mut problems = Vec::new();
        for setting in settings {
            setting.apply(&mut document).unwrap_or_else(|problem| problems.push(problem));
        }
        if problems.is_empty() { Ok(Self::read(path, &document)) } else { Err(refuse(problems)) }
    }

    fn read(path: &Path, document: &Table) -> Self {
        let mut problems = Vec::new();
        let mut root = Section::new(&mut problems, "", &Origin::File, document);
        let job = settings::read_job(&mut root);
        let state = state::read(&mut root);
        let checkpoint = checkpoint::read(&mut root);
        let restart = restart::read(&mut root);
        let sources = root.sections("source", "[[source]]", |section| Some(source::read(section)));
        let operators =
            root.sections("operator", "[[operator]]", |section| Some(operator::read(section)));
        let sinks = root.sections("sink", "[[sink]]", |section| Some(sink::read(section)));
        root.finish();
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let path = path.to_owned();
        Self { path, folder, job, state, checkpoint, restart, sources, operators, sinks, problems }
    }

    /// A path of the job file, from where the program runs; a place in a bucket as it is.
    pub fn resolve(&self, path: &str) -> PathBuf {
        resolve(&self.folder, path)
    }
}

/// As [`JobFile::resolve`], for the job file in this folder.
pub fn resolve(folder: &Path, path: &str) -> PathBuf {
    if path.starts_with(S3) { path.into() } else { folder.join(path) }
}

/// Reads the id of a node and names its table by it: `source.clicks` instead of `source[0]`.
///
/// An id that may not be one is reported and kept, so that references to it are not problems of
/// their own.
fn read_id(section: &mut Section<'_, '_>, kind: &str) -> At<String> {
    let written = section.text("id");
    if let Some(id) = &written {
        section.rename(format!("{kind}.{id}"));
    }
    let read = section.required("id", "\"a-name\"", values::id);
    read.unwrap_or_else(|| section.at(written.unwrap_or_default()))
}

fn unreadable(path: &Path, cause: std::io::Error) -> Problem {
    let mut problem = Problem::new(&Origin::File, "cannot read the job file");
    if path.is_dir() {
        problem =
            problem.hint(format!("that is a folder; name the file: {}/job.toml", path.display()));
    }
    problem.error = problem.error.caused_by(cause);
    problem
}

fn first_line(message: &str) -> &str {
    message.lines().next().unwrap_or("it cannot be parsed")
}
