//! One attempt to run a job, from its start or from a checkpoint: the tasks, and the conductor that
//! takes checkpoints of them.
//!
//! Who drives them is not said here: threads in production, one loop in a simulation.

use std::sync::Arc;
use std::sync::mpsc;

use super::backends::Backends;
use super::build::{Built, NamedTask, Parts, build};
pub use super::conductor::{Conductor, Outcome};
pub use super::ground::{Ground, Undo};
use super::ground::{functions_of, stored_in, unconfirmed};
use super::plan::{Plan, SinkConnector};
use super::restore::Restored;
use super::run::RunOptions;
use crate::checkpoint::catalog::{Candidate, Located};
use crate::checkpoint::manifest::{Manifest, PreparedOutput, UnconfirmedSwap};
use crate::checkpoint::{Code, Coordinator, CoordinatorSettings, OperatorOf, forms};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::StopFlag;
use crate::state::{Layout, OperatorForm, changed_forms};
use crate::wasm::LogLevel;

/// Tasks that are ready to run, and who conducts them.
pub struct Attempt {
    /// What to drive.
    pub tasks: Vec<NamedTask>,
    /// Takes checkpoints.
    pub conductor: Conductor,
}

impl Attempt {
    /// Builds an attempt that goes on from `from`, or begins. Output that was prepared for `from`
    /// is committed first, and what was prepared after it is removed.
    ///
    /// # Errors
    /// If something cannot be opened, restored or committed. `Corruption` means that `from` is not
    /// what was written.
    pub fn start(
        plan: &Plan,
        options: &RunOptions,
        ground: &mut Ground,
        from: Option<&Located>,
        stop: &Arc<StopFlag>,
    ) -> Result<Self> {
        let plan = &functions_of(plan, options, ground, from)?;
        let undo = ground.undo.clone();
        let undone = undo.as_ref().map(|undo| undo.operator.as_str());
        let now = ground.environment.clock.now_ms();
        // Whoever brings a function of their own has decided about the one before.
        let swap = from.filter(|located| !ground.brings_functions(options, located));
        let swap = swap.and_then(|located| located.manifest.swap.as_ref());
        let restore = |located| Restored::new(located, plan, swap, undone, now);
        let restored = from.map(restore).transpose()?;
        let swap = swap.filter(|swap| undone != Some(swap.operator.as_str()));
        let first = settle_output(plan, options, ground, from.map(|located| (located, swap)))?;
        let after = from.map_or(0, |located| located.manifest.id);
        let abandoned = ground.catalog.as_ref().map(|one| one.checkpoints_after(after));
        let abandoned = abandoned.transpose()?.unwrap_or_default();
        ground.attempts += 1;
        let (events, received) = mpsc::channel();
        let mut backends = Backends::new(plan)?;
        let operator_of = |id: &str| plan.operators.iter().position(|operator| operator.id == id);
        let rolls_back = swap.filter(|swap| swap.rolls_back);
        let built = build(Parts {
            plan,
            options,
            environment: &ground.environment,
            stop,
            commits: &ground.commits,
            events: &events,
            restored: restored.as_ref(),
            backends: &mut backends,
            fresh: rolls_back.and_then(|swap| operator_of(&swap.operator)),
            run: format!("{}-{}", ground.environment.run, ground.attempts),
        })?;
        let settings = settings(plan, restored.as_ref(), ground, built.tasks.len());
        let (catalog, commits) = (ground.catalog.clone(), ground.commits.clone());
        let mut coordinator =
            Coordinator::new(settings, catalog, commits, ground.next_id, first, now);
        coordinator.abandon(abandoned);
        if let (Some(swap), Some(located)) = (swap, from)
            && let Some(operator) = operator_of(&swap.operator)
        {
            coordinator.resume_swap(unconfirmed(swap, located, ground, operator)?);
        }
        if ground.undo.take().is_some() {
            // Before its checkpoint is complete, a crash would bring the undone function back.
            coordinator.begin_soon(now);
        }
        let Built { tasks, controls, operator_controls } = built;
        let plan = Arc::new(plan.clone());
        let parts = (coordinator, plan, controls, operator_controls);
        let conductor = Conductor::new(parts, (events, received), backends);
        Ok(Self { tasks, conductor })
    }
}

/// Commits the output that was prepared for what the attempt goes on from, and removes what was
/// prepared after it. Returns what the first commit of the attempt does besides.
fn settle_output(
    plan: &Plan,
    options: &RunOptions,
    ground: &mut Ground,
    from: Option<(&Located, Option<&UnconfirmedSwap>)>,
) -> Result<Vec<PreparedOutput>> {
    ground.commits.claim()?;
    let warn = |message: String| options.log.write(LogLevel::Warn, &message);
    let mut first = match from {
        Some((located, _)) => later_output(plan, ground, &located.manifest, warn)?,
        None => replacements(plan),
    };
    let mut held = Vec::new();
    if let Some((located, swap)) = from {
        let Manifest { id, outputs, .. } = &located.manifest;
        located.settle()?;
        if let (Some(_), Some(catalog)) = (ground.undo.as_ref(), &ground.catalog) {
            // They wait for output that is about to go: nothing may go on from them.
            catalog.delete(&catalog.checkpoints_after(*id)?)?;
        }
        // What came after the barrier of a swap that migrates waits until it is confirmed.
        if swap.is_some_and(|swap| swap.migrates && swap.since != *id) {
            held.clone_from(outputs);
            first.extend(held.iter().cloned());
        } else {
            ground.commits.commit(&outputs.iter().collect::<Vec<_>>())?;
        }
        ground.next_id = ground.next_id.max(id + 1);
        if ground.attempts == 0 {
            ground.first_id = ground.next_id;
        }
    }
    ground.commits.remove_leftovers(&held)?;
    if let Some(catalog) = &ground.catalog {
        catalog.sweep()?;
    }
    Ok(first)
}

/// Earlier output that gives way with the first commit.
fn replacements(plan: &Plan) -> Vec<PreparedOutput> {
    let replaced = plan
        .sinks
        .iter()
        .filter(|sink| matches!(sink.connector, SinkConnector::File { replace: true, .. }));
    replaced.map(|sink| PreparedOutput::Replace { sink: sink.id.clone(), after: 0 }).collect()
}

/// Output that the job has committed since the checkpoint that it goes back to, and puts out again:
/// it gives way with the first commit, so that until then the newer checkpoint can be gone on from.
///
/// # Errors
/// If there is some, and the job file does not let it give way.
fn later_output(
    plan: &Plan,
    ground: &Ground,
    manifest: &Manifest,
    warn: impl Fn(String),
) -> Result<Vec<PreparedOutput>> {
    let mut later = Vec::new();
    for sink in &plan.sinks {
        let (kind, after) = (manifest.kind.word(), manifest.id);
        if ground.commits.committed_last(&sink.id)?.is_some_and(|last| last > after) {
            warn(format!(
                "sink {:?} has output from after {kind} {after}, which cannot be taken back: it \
                 comes again",
                sink.id
            ));
        }
        let SinkConnector::File { path, replace, .. } = &sink.connector else { continue };
        let place = path.display();
        if ground.commits.output_after(&sink.id, after)?.is_empty() {
            continue;
        }
        let message = format!("{place} holds output from after {kind} {after}");
        if !*replace {
            // Not the whole folder: what is older is not written again.
            let hint = format!(
                "the job would write it twice: move part-*-N and part-*-N-* with N above {after} \
                 away, or leave `on_existing` out to replace them"
            );
            return Err(Error::input(message).hint(hint));
        }
        warn(format!("{message}; it gives way with the first checkpoint, having been made anew"));
        later.push(PreparedOutput::Replace { sink: sink.id.clone(), after });
    }
    Ok(later)
}

fn settings(
    plan: &Plan,
    restored: Option<&Restored<'_>>,
    ground: &Ground,
    tasks: usize,
) -> CoordinatorSettings {
    let operators = plan.operators.iter().map(|operator| {
        let id = operator.id.as_str();
        let declaration = operator.component.declaration();
        let layout = restored.and_then(|restored| restored.layout(id)).cloned();
        let layout = layout.unwrap_or_else(|| Layout::new(&declaration.states, &operator.ttl));
        let forms = restored.and_then(|restored| restored.operator_forms(id));
        let forms = forms.map_or_else(
            || changed_forms(&[], &declaration.operator_states),
            <[OperatorForm]>::to_vec,
        );
        let sha256 = *operator.component.digest();
        // A restore from the job's own checkpoint finds the component there.
        let stored = restored.and_then(|restored| {
            let located = restored.located;
            let files = located.manifest.components();
            let mut same = files.filter(|file| file.sha256 == sha256);
            same.next().filter(|_| stored_in(ground, located)).map(|file| file.file.clone())
        });
        OperatorOf {
            id: id.to_owned(),
            code: Code { bytes: operator.component.bytes().clone(), sha256, stored },
            states: forms::declared_states(&layout),
            operator_states: forms::declared_operator_states(&forms),
        }
    });
    CoordinatorSettings {
        job: plan.name.clone(),
        max_parallelism: plan.max_parallelism,
        tasks,
        sources: plan.sources.len(),
        operators: operators.collect(),
        policy: plan.checkpoint.as_ref().map(|checkpoint| checkpoint.policy.clone()),
    }
}

/// What the attempts of a run can go on from, newest first.
///
/// # Errors
/// If the storage fails.
pub fn candidates(plan: &Plan, ground: &Ground) -> Result<Vec<Candidate>> {
    let (Some(catalog), Some(checkpoint)) = (&ground.catalog, &plan.checkpoint) else {
        return Ok(Vec::new());
    };
    catalog.restore_candidates(checkpoint.prefer_checkpoint)
}

/// Starts from the newest candidate that is what was written. `warn` tells of those that are not.
///
/// # Errors
/// If none is, although there are some; if something else fails.
pub fn start_from_newest(
    plan: &Plan,
    options: &RunOptions,
    ground: &mut Ground,
    candidates: Vec<Candidate>,
    stop: &Arc<StopFlag>,
    warn: &mut dyn FnMut(String),
) -> Result<Option<(Attempt, u64)>> {
    let count = candidates.len();
    let mut skipped = false;
    for Candidate { name, located, .. } in candidates {
        let started = located.and_then(|located| {
            let id = located.manifest.id;
            Attempt::start(plan, options, ground, Some(&located), stop).map(|one| (one, id))
        });
        match started {
            // Only what is wrong for ever is a reason to go back further: going on from an older
            // one removes output that a newer one needs.
            Err(error) if error.kind == ErrorKind::Corruption => {
                warn(format!("{name} is skipped: {}", error.full_text()));
                skipped = true;
            }
            started => {
                if skipped && started.is_ok() {
                    warn(format!("the job goes on from {name} instead"));
                }
                return started.map(Some);
            }
        }
    }
    if count == 0 {
        return Ok(None);
    }
    let message = format!("none of the {count} checkpoints can be restored");
    let hint = "the warnings above say why; `--restore PATH` takes a savepoint that lies \
                elsewhere, `--restore none` begins anew";
    Err(Error::new(ErrorKind::Corruption, message).hint(hint))
}
