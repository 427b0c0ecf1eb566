//! From the job file as written to the plan that runs: everything that can be wrong, before
//! anything runs.
//!
//! ```text
//! JobFile --headers--> without names of CSV fields --components--> loaded --graph--> resolved
//!         --operators, files, recovery--> checked --assemble--> Plan
//! ```
//! Each step notes its problems and goes on with what it has, so that the user sees all of them at
//! once and none that merely follows from another.

mod assemble;
mod codes;
mod components;
mod files;
mod graph;
mod headers;
mod kafka;
mod mysql;
mod operators;
mod recovery;
#[cfg(test)]
mod tests;

pub use codes::{Codes, codes_of, latest};
pub(super) use files::make_way;

use std::collections::BTreeSet;

use super::plan::{Field, Plan};
use super::spec::{At, JobFile, Origin, Problem, Problems};
use crate::model::{Declaration, Format};
use crate::wasm::{Component, Engine};
use graph::Graph;
use operators::CheckedOperator;

/// Checks a job and compiles its components. Reads the file system and writes nothing.
///
/// # Errors
/// Everything that is wrong, in the order of the job file.
pub fn check(file: JobFile, engine: &Engine) -> Result<Plan, Problems> {
    check_with(file, engine, &Codes::new())
}

/// As [`check`], with functions of a checkpoint in place of those of the job file.
///
/// # Errors
/// Everything that is wrong, in the order of the job file.
pub fn check_with(mut file: JobFile, engine: &Engine, codes: &Codes) -> Result<Plan, Problems> {
    let mut findings = Findings {
        problems: std::mem::take(&mut file.problems),
        restored: codes.keys().cloned().collect(),
        ..Findings::default()
    };
    headers::resolve(&mut file, &mut findings);
    let sources = components::load_sources(&mut file, engine, &mut findings);
    let components = components::load(&file, engine, codes, &mut findings);
    let declared: Vec<Option<&Declaration>> =
        components.iter().map(|c| c.as_ref().map(Component::declaration)).collect();
    let (graph, operators) = examine(&file, &declared, &mut findings);
    if !findings.problems.is_empty() {
        return Err(Problems::new(file.path, findings.problems));
    }
    let path = file.path.clone();
    let origins = components::origins(&file);
    let functions = assemble::Functions { sources, operators: components };
    let plan = assemble::assemble(file, &graph, functions, operators, findings.warnings);
    let refused = components::open(&plan, &origins);
    if refused.is_empty() { Ok(plan) } else { Err(Problems::new(path, refused)) }
}

/// All checks but those of component files: `declared` is what the functions of the operators say
/// of themselves, or none where that is not known.
fn examine(
    file: &JobFile,
    declared: &[Option<&Declaration>],
    findings: &mut Findings,
) -> (Graph, Vec<Option<CheckedOperator>>) {
    check_job(file, findings);
    let graph = graph::resolve(file, declared, findings);
    let operators = operators::check(file, declared, &graph, findings);
    operators::warn_of_timers(file, declared, &graph, findings);
    files::check(file, findings);
    kafka::check(file, &graph, findings);
    mysql::check(file, &graph, findings);
    recovery::check(file, findings);
    (graph, operators)
}

/// What a check has found so far.
#[derive(Default)]
struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<String>,
    /// The operators whose functions are those of a checkpoint, for which the job file may not
    /// have been written.
    restored: BTreeSet<String>,
}

impl Findings {
    fn problem(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    fn warning(&mut self, warning: impl Into<String>) {
        self.warnings.push(warning.into());
    }
}

fn check_job(file: &JobFile, findings: &mut Findings) {
    let (parallelism, max) = (&file.job.parallelism, file.job.max_parallelism.value);
    if **parallelism > max {
        findings.problem(too_parallel(parallelism, max));
    }
    if file.sources.is_empty() {
        let problem =
            Problem::new(&Origin::File, "the job has no source, so there is nothing to do");
        findings.problem(problem.hint("add a `[[source]]`"));
    }
    if file.sinks.is_empty() {
        findings.warning("the job has no sink: nothing of what it computes is written");
    }
    for source in &file.sources {
        if let Some(timestamp) = &source.timestamp {
            check_field(&timestamp.field, &timestamp.field.value, source.format.value, findings);
        }
    }
}

/// The problem of more partitions than key groups.
fn too_parallel(parallelism: &At<u32>, max: u32) -> Problem {
    let what = format!("is {}, more than the {max} key groups of the job", **parallelism);
    parallelism.problem(what).hint("lower it, or raise `job.max_parallelism`")
}

/// Notes a problem if records of a format have no such field.
fn check_field<T>(at: &At<T>, field: &Field, format: Format, findings: &mut Findings) {
    let (what, hint) = match (format, field) {
        (Format::Csv | Format::Lines, Field::Index(_)) | (Format::Json, Field::Name(_)) => return,
        (Format::Csv | Format::Lines, Field::Name(name)) => (
            format!("names the field {name:?}, but {} records have no names", word(format)),
            "write the position of the field, counted from 0",
        ),
        (Format::Json, Field::Index(index)) => (
            format!("is the position {index}, but json records have names"),
            "write the name of the field, in quotes",
        ),
        (Format::Bytes, _) => (
            "names a field, but records of format bytes have none".into(),
            "use another format, or let a function decode the records",
        ),
    };
    findings.problem(at.problem(what).hint(hint));
}

/// The word of the job file.
fn word(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Json => "json",
        Format::Lines => "lines",
        Format::Bytes => "bytes",
    }
}
