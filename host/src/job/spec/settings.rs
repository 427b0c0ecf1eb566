//! `[job]`, `[state]`, `[checkpoint]` and `[restart]`.
//!
//! This version takes no checkpoints and restarts nothing: the last two are read and validated, so
//! that job files are ready for the version that does, and the user is told that they have no
//! effect.

use super::document::Value;
use super::problem::Problem;
use super::section::{At, Mismatch, Section};
use super::values;
use crate::model::MAX_PARALLELISM_DEFAULT;

/// `[job]`.
#[derive(Debug)]
pub struct JobSpec {
    /// The name; empty if it is missing, which is reported.
    pub name: String,
    /// Partitions of an operator that does not say otherwise. Default 1.
    pub parallelism: At<u32>,
    /// Key groups. Default 128.
    pub max_parallelism: At<u32>,
    /// The folder of dead letters. Default `dead-letters`.
    pub dead_letters: String,
}

/// Reads `[job]`.
pub fn read_job(root: &mut Section<'_, '_>) -> JobSpec {
    let nowhere = root.at(());
    if !root.has("job") {
        let problem = Problem::new(&nowhere.origin, "the job file has no `[job]`");
        root.report(problem.hint("begin it with `[job]` and `name = \"a-name\"`"));
    }
    let Some(mut section) = root.section("job") else {
        return JobSpec {
            name: String::new(),
            parallelism: nowhere.with(1),
            max_parallelism: nowhere.with(MAX_PARALLELISM_DEFAULT),
            dead_letters: "dead-letters".into(),
        };
    };
    let name = section.required("name", "\"a-name\"", values::id);
    let parallelism = section.optional("parallelism", values::parallelism);
    let max_parallelism = section.optional("max_parallelism", values::parallelism);
    let job = JobSpec {
        name: name.map(|at| at.value).unwrap_or_default(),
        parallelism: parallelism.unwrap_or_else(|| section.at(1)),
        max_parallelism: max_parallelism.unwrap_or_else(|| section.at(MAX_PARALLELISM_DEFAULT)),
        dead_letters: section.or("dead_letters", values::text, "dead-letters".into()),
    };
    section.finish();
    job
}

/// Reads `[state]`. There is one backend, so nothing is left to remember.
pub fn read_state(root: &mut Section<'_, '_>) {
    let Some(mut section) = root.section("state") else { return };
    if let Some(backend) = section.optional("backend", backend)
        && *backend == Backend::RocksDb
    {
        let problem =
            backend.problem("asks for RocksDB; this version has only the hashmap backend");
        section.report(problem.hint("write \"hashmap\", or leave the key out"));
    }
    section.finish();
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Backend {
    Hashmap,
    RocksDb,
}

fn backend(value: &Value) -> Result<Backend, Mismatch> {
    let words = [
        ("hashmap", Backend::Hashmap),
        ("rocksdb", Backend::RocksDb),
        ("MemoryStateBackend", Backend::Hashmap),
        ("FsStateBackend", Backend::Hashmap),
        ("RocksDBStateBackend", Backend::RocksDb),
    ];
    values::word(value, &words)
}

/// Reads `[checkpoint]`.
pub fn read_checkpoint(root: &mut Section<'_, '_>, warnings: &mut Vec<String>) {
    let Some(mut section) = root.section("checkpoint") else { return };
    section.optional("storage", storage);
    section.optional("interval", values::positive_duration);
    section.optional("mode", mode);
    section.optional("timeout", values::positive_duration);
    section.optional("min_pause", values::duration);
    section.optional("max_concurrent", values::positive);
    section.optional("tolerable_failures", values::count);
    section.optional("retain", boolean);
    section.finish();
    warnings.push(
        "this version takes no checkpoints yet: [checkpoint] is read but has no effect".into(),
    );
}

fn storage(value: &Value) -> Result<(), Mismatch> {
    let text = values::text(value)?;
    let has_place = |scheme: &str| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty());
    if text == "memory" || has_place("file://") || has_place("s3://") {
        return Ok(());
    }
    let hint = "write \"memory\", \"file://FOLDER\" or \"s3://BUCKET/PREFIX\"";
    values::mismatch(value, "a storage", hint)
}

fn mode(value: &Value) -> Result<(), Mismatch> {
    values::word(value, &[("exactly-once", ()), ("at-least-once", ())])
}

fn boolean(value: &Value) -> Result<bool, Mismatch> {
    match value {
        Value::Boolean(boolean) => Ok(*boolean),
        other => values::mismatch(other, "true or false", "write true or false, without quotes"),
    }
}

/// Reads `[restart]`.
pub fn read_restart(root: &mut Section<'_, '_>, warnings: &mut Vec<String>) {
    let Some(mut section) = root.section("restart") else { return };
    let strategy = section.required("strategy", "\"fixed-delay\"", strategy);
    // Without a strategy it is not known which keys belong to it.
    let Some(strategy) = strategy else { return };
    match *strategy {
        Strategy::None => {}
        Strategy::FixedDelay => {
            section.optional("attempts", values::positive);
            section.optional("delay", values::duration);
        }
        Strategy::FailureRate => {
            section.optional("failures", values::positive);
            section.optional("interval", values::positive_duration);
            section.optional("delay", values::duration);
        }
        Strategy::ExponentialDelay => {
            section.optional("initial_delay", values::positive_duration);
            section.optional("max_delay", values::positive_duration);
            section.optional("multiplier", values::factor);
            section.optional("jitter", values::share);
            section.optional("reset_after", values::positive_duration);
            section.optional("attempts", values::positive);
        }
    }
    section.finish();
    if *strategy != Strategy::None {
        let warning = "this version restarts no job yet: [restart] is read but has no effect";
        warnings.push(warning.into());
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Strategy {
    None,
    FixedDelay,
    FailureRate,
    ExponentialDelay,
}

fn strategy(value: &Value) -> Result<Strategy, Mismatch> {
    let words = [
        ("none", Strategy::None),
        ("fixed-delay", Strategy::FixedDelay),
        ("failure-rate", Strategy::FailureRate),
        ("exponential-delay", Strategy::ExponentialDelay),
    ];
    values::word(value, &words)
}
