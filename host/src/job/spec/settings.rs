//! `[job]`.

use super::problem::Problem;
use super::section::{At, Section};
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
