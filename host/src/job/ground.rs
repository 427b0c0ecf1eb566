//! What all attempts of a run have in common: the world around them, and the functions that they
//! need beside those of the job file.

use std::collections::BTreeMap;

use super::environment::Environment;
use super::plan::{CheckpointPlan, Plan, SinkConnector};
use super::run::{CodeChoice, RunOptions};
use crate::checkpoint::catalog::Located;
use crate::checkpoint::code::read_component;
use crate::checkpoint::manifest::{Kind, UnconfirmedSwap};
use crate::checkpoint::{Catalog, Code, Commits, LoggedSink, Unconfirmed};
use crate::error::Result;
use crate::flow::{open_logged_sink, open_monitor};
use crate::model::Digest;
use crate::wasm::{Component, Engine};

/// What all attempts of a run have in common.
pub struct Ground {
    /// Clock, storage, background work.
    pub environment: Environment,
    /// Where checkpoints lie, if the job takes any.
    pub catalog: Option<Catalog>,
    /// The folders of file sinks.
    pub commits: Commits,
    /// The number of this run's first barrier.
    pub first_id: u64,
    /// The next barrier's number.
    pub next_id: u64,
    /// Attempts so far.
    pub attempts: u32,
    /// Functions by digest, those of the plan and others that were needed.
    pub codes: BTreeMap<Digest, Component>,
    /// A swap that the next attempt undoes.
    pub undo: Option<Undo>,
}

/// A swap that is undone by going on from a checkpoint with the function before.
#[derive(Debug, Clone)]
pub struct Undo {
    /// The operator's id.
    pub operator: String,
    /// The function before; none if the checkpoint to go on from has it.
    pub previous: Option<Code>,
    /// The checkpoint to go on from; none = the newest.
    pub back_to: Option<u64>,
}

impl Ground {
    /// Opens the storages of a plan. `log` takes warnings.
    ///
    /// # Errors
    /// If one cannot be opened, or if the checkpoint storage belongs to another job.
    pub fn open(plan: &Plan, environment: Environment, options: &RunOptions) -> Result<Self> {
        let mut commits = Commits::default();
        for sink in &plan.sinks {
            if let SinkConnector::File { path, shape, .. } = &sink.connector {
                let folder =
                    environment.storages.open(&path.display().to_string(), &plan.folder)?;
                commits.folders.insert(sink.id.clone(), folder);
                if let Some(pattern) = &shape.folders {
                    commits.patterns.insert(sink.id.clone(), pattern.clone());
                }
            }
        }
        let open = |checkpoint: &CheckpointPlan| {
            environment.storages.open(&checkpoint.storage, &plan.folder).map(Catalog::new)
        };
        let catalog = plan.checkpoint.as_ref().map(open).transpose()?;
        commits.logs = logged_sinks(plan, &environment, options)?;
        for source in &plan.sources {
            let monitor = open_monitor(source, &options.log);
            commits.monitors.extend(monitor.map(|monitor| (source.id.clone(), monitor)));
        }
        let first_id = match &catalog {
            Some(catalog) => {
                for entry in catalog.entries()? {
                    if let Ok(located) = &entry.located {
                        located.manifest.check_job(&plan.name)?;
                    }
                }
                catalog.newest_id()? + 1
            }
            None => 1,
        };
        let components = plan.operators.iter().map(|operator| operator.component.clone());
        let codes = components.map(|component| (*component.digest(), component)).collect();
        let next_id = first_id;
        Ok(Self {
            environment,
            catalog,
            commits,
            first_id,
            next_id,
            attempts: 0,
            codes,
            undo: None,
        })
    }

    /// Whether a checkpoint is gone on from with the functions of the job file: if the user wants
    /// that, and it is none of this run, which has them, or what was swapped for them.
    pub fn brings_functions(&self, options: &RunOptions, located: &Located) -> bool {
        let is_own = self.attempts > 0 && located.manifest.id >= self.first_id;
        options.code == CodeChoice::Job && !is_own
    }

    /// The function of these bytes, compiled if it is not known yet.
    fn component(
        &mut self,
        engine: &Engine,
        name: &str,
        sha256: Digest,
        bytes: &[u8],
    ) -> Result<Component> {
        if let Some(component) = self.codes.get(&sha256) {
            return Ok(component.clone());
        }
        let component = Component::from_bytes(engine, name, bytes)?;
        self.codes.insert(sha256, component.clone());
        Ok(component)
    }
}

/// The sinks whose records are committed with checkpoints to an external system.
fn logged_sinks(
    plan: &Plan,
    environment: &Environment,
    options: &RunOptions,
) -> Result<BTreeMap<String, LoggedSink>> {
    let mut logged = BTreeMap::new();
    let Some(checkpoint) = plan.checkpoint.as_ref().filter(|_| plan.is_exactly_once()) else {
        return Ok(logged);
    };
    let storage = environment.storages.open(&checkpoint.storage, &plan.folder)?;
    for sink in &plan.sinks {
        let opened = open_logged_sink(&plan.name, sink, &storage, &options.log, &options.stop)?;
        logged.extend(opened.map(|one| (sink.id.clone(), one)));
    }
    Ok(logged)
}

/// The plan with the functions that a checkpoint belongs to, unless the user wants those of the job
/// file; and with the function before where a swap is undone.
pub(super) fn functions_of(
    plan: &Plan,
    options: &RunOptions,
    ground: &mut Ground,
    from: Option<&Located>,
) -> Result<Plan> {
    let mut plan = plan.clone();
    let place = |plan: &Plan, id: &str| plan.operators.iter().position(|one| one.id == *id);
    let of_checkpoint = from.filter(|located| !ground.brings_functions(options, located));
    for operator in of_checkpoint.iter().flat_map(|located| &located.manifest.operators) {
        let (Some(index), Some(file)) = (place(&plan, &operator.id), &operator.component) else {
            continue;
        };
        let of_plan = plan.operators[index].component.clone();
        if *of_plan.digest() == file.sha256 {
            continue;
        }
        let located = from.expect("its manifest was looked at just now");
        let component = match ground.codes.get(&file.sha256) {
            Some(component) => component.clone(),
            None => {
                let bytes = read_component(&*located.storage, file)?;
                let name = format!("{}/{}", located.storage.root(), file.file.name);
                ground.component(of_plan.engine(), &name, file.sha256, &bytes)?
            }
        };
        plan = plan.with_function(index, component)?;
    }
    let Some(Undo { operator, previous: Some(code), .. }) = ground.undo.clone() else {
        return Ok(plan);
    };
    let Some(index) = place(&plan, &operator) else { return Ok(plan) };
    let engine = plan.operators[index].component.engine().clone();
    let name = format!("the version of {operator} before");
    let component = ground.component(&engine, &name, code.sha256, &code.bytes)?;
    plan.with_function(index, component)
}

/// A swap that was not confirmed when the checkpoint was taken.
pub(super) fn unconfirmed(
    swap: &UnconfirmedSwap,
    located: &Located,
    ground: &Ground,
    operator: usize,
) -> Result<Unconfirmed> {
    let UnconfirmedSwap { since, rolls_back, migrates, confirmed_after, .. } = *swap;
    let bytes = read_component(&*located.storage, &swap.previous)?;
    let stored = stored_in(ground, located).then(|| swap.previous.file.clone());
    let previous = Code { bytes: bytes.into(), sha256: swap.previous.sha256, stored };
    Ok(Unconfirmed { operator, since, previous, rolls_back, migrates, confirmed_after })
}

/// Whether files that a manifest shares with others are files of the job's own checkpoints.
pub(super) fn stored_in(ground: &Ground, located: &Located) -> bool {
    let root = ground.catalog.as_ref().map(|catalog| catalog.storage.root());
    located.manifest.kind == Kind::Checkpoint && root == Some(located.storage.root())
}
