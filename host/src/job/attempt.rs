//! One attempt to run a job, from its start or from a checkpoint: the tasks, and the conductor that
//! takes checkpoints of them.
//!
//! Who drives them is not said here: threads in production, one loop in a simulation.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};

use super::backends::Backends;
use super::build::{Built, NamedTask, Parts, build};
use super::environment::Environment;
use super::plan::{CheckpointPlan, Plan, SinkConnector};
use super::restore::Restored;
use super::run::{CodeChoice, RunOptions};
use crate::checkpoint::catalog::{Candidate, Located};
use crate::checkpoint::code::read_component;
use crate::checkpoint::manifest::{Kind, Manifest, PreparedOutput, UnconfirmedSwap};
use crate::checkpoint::{
    Action, Catalog, Code, Commits, Coordinator, CoordinatorSettings, LoggedSink, OperatorOf,
    Progress, RequestId, SwapPlan, Target, Unconfirmed, forms,
};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{
    Barrier, Event, OperatorCommand, OperatorControl, SourceCommand, SourceControl, StopFlag,
    SwapOrder, open_logged_sink, open_monitor,
};
use crate::model::Digest;
use crate::operator::{Shadow, ShadowReport};
use crate::state::{Layout, OperatorForm, changed_forms};
use crate::wasm::{Component, Engine, LogLevel};

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
        let restored = from.map(|located| Restored::new(located, plan, undone, now)).transpose()?;
        let swap = from.and_then(|located| located.manifest.swap.as_ref());
        let swap = swap.filter(|swap| undone != Some(swap.operator.as_str()));
        ground.commits.claim()?;
        let warn = |message: String| options.log.write(LogLevel::Warn, &message);
        let mut first = match from {
            Some(located) => later_output(plan, ground, &located.manifest, warn)?,
            None => replacements(plan),
        };
        let mut held = Vec::new();
        if let Some(located) = from {
            located.settle()?;
            // What came after the barrier of a swap that migrates waits until it is confirmed.
            let is_held = swap.is_some_and(|s| s.migrates && s.since != located.manifest.id);
            if is_held {
                held.clone_from(&located.manifest.outputs);
                first.extend(held.iter().cloned());
            } else {
                ground.commits.commit(&located.manifest.outputs.iter().collect::<Vec<_>>())?;
            }
            ground.next_id = ground.next_id.max(located.manifest.id + 1);
        }
        ground.commits.remove_leftovers(&held)?;
        if let Some(catalog) = &ground.catalog {
            catalog.sweep()?;
        }
        let after = from.map_or(0, |located| located.manifest.id);
        let abandoned = ground.catalog.as_ref().map(|one| one.checkpoints_after(after));
        let abandoned = abandoned.transpose()?.unwrap_or_default();
        ground.attempts += 1;
        let (events, received) = mpsc::channel();
        let mut backends = Backends::new(plan)?;
        let operator_of = |id: &str| plan.operators.iter().position(|operator| operator.id == id);
        let fresh =
            swap.filter(|swap| swap.rolls_back).and_then(|swap| operator_of(&swap.operator));
        let built = build(Parts {
            plan,
            options,
            environment: &ground.environment,
            stop,
            commits: &ground.commits,
            events: &events,
            restored: restored.as_ref(),
            backends: &mut backends,
            fresh,
            run: format!("{}-{}", ground.environment.run, ground.attempts),
        })?;
        let Built { tasks, controls, operator_controls } = built;
        let mut coordinator = Coordinator::new(
            settings(plan, restored.as_ref(), ground, tasks.len()),
            ground.catalog.clone(),
            ground.commits.clone(),
            ground.next_id,
            first,
            now,
        );
        coordinator.abandon(abandoned);
        if let (Some(swap), Some(located)) = (swap, from)
            && let Some(operator) = operator_of(&swap.operator)
        {
            coordinator.resume_swap(unconfirmed(swap, located, ground, operator)?);
        }
        let conductor = Conductor {
            coordinator,
            plan: Arc::new(plan.clone()),
            controls,
            operator_controls,
            order: None,
            shadowed: Vec::new(),
            changeover_us: 0,
            events: received,
            sender: events,
            _backends: backends,
        };
        ground.undo = None;
        Ok(Self { tasks, conductor })
    }
}

/// The plan with the functions that a checkpoint belongs to, unless the user wants those of the job
/// file; and with the function before where a swap is undone.
fn functions_of(
    plan: &Plan,
    options: &RunOptions,
    ground: &mut Ground,
    from: Option<&Located>,
) -> Result<Plan> {
    let mut plan = plan.clone();
    let place = |plan: &Plan, id: &str| plan.operators.iter().position(|one| one.id == *id);
    let of_checkpoint = from.filter(|_| options.code == CodeChoice::Checkpoint);
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
fn unconfirmed(
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
fn stored_in(ground: &Ground, located: &Located) -> bool {
    let root = ground.catalog.as_ref().map(|catalog| catalog.storage.root());
    located.manifest.kind == Kind::Checkpoint && root == Some(located.storage.root())
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

/// What a conductor cannot do itself.
pub enum Outcome {
    /// Answer whoever asked: where the savepoint or checkpoint is, or why there is none.
    Answer(RequestId, Result<Option<String>>),
    /// The swap of this operator is confirmed.
    Confirmed(usize),
    /// Tell the user.
    Warn(String),
}

/// Stands between the coordinator and the tasks.
pub struct Conductor {
    coordinator: Coordinator,
    /// What runs: the job's plan with the functions of now.
    plan: Arc<Plan>,
    controls: Vec<Arc<SourceControl>>,
    /// By operator and partition.
    operator_controls: Vec<Vec<Arc<OperatorControl>>>,
    /// The swap that waits for its barrier or is under way, and the plan that comes with it.
    order: Option<(RequestId, Arc<SwapOrder>, Arc<Plan>)>,
    /// What partitions told of functions beside their own, by operator.
    shadowed: Vec<(usize, ShadowReport)>,
    changeover_us: u64,
    events: Receiver<Event>,
    /// Keeps the channel open; whoever drives tasks tells their ends through it.
    sender: mpsc::Sender<Event>,
    /// Where stores on disk live; gone with the attempt.
    _backends: Backends,
}

impl Conductor {
    /// Where tasks' events come in.
    pub fn events(&self) -> &Receiver<Event> {
        &self.events
    }

    /// Where to tell events.
    pub fn sender(&self) -> mpsc::Sender<Event> {
        self.sender.clone()
    }

    /// Takes note of an event of a task. Ends of tasks are the driver's business.
    ///
    /// # Errors
    /// If the job must fail.
    pub fn take(&mut self, event: Event, now: i64) -> Result<()> {
        match event {
            Event::Acknowledged(acknowledgement) => {
                self.coordinator.acknowledge(*acknowledgement, now)
            }
            Event::Exhausted(source) => {
                self.coordinator.exhausted(source);
                Ok(())
            }
            Event::Shadowed(operator, report) => {
                self.shadowed.push((operator, *report));
                Ok(())
            }
            Event::Nudge | Event::Ended(_) => Ok(()),
        }
    }

    /// Does what it is time for, and everything that has been decided.
    ///
    /// # Errors
    /// If the job must fail.
    pub fn conduct(&mut self, now: i64) -> Result<Vec<Outcome>> {
        self.coordinator.tick(now)?;
        let mut outcomes = Vec::new();
        for action in self.coordinator.take_actions() {
            match action {
                Action::Inject { id, target, hold, swaps } => {
                    let order = self.order.as_ref().filter(|_| swaps).map(|(_, one, _)| one);
                    self.tell_sources(|| {
                        let (target, swap) = (target.clone(), order.cloned());
                        SourceCommand::Barrier { barrier: Barrier { id, target, swap }, hold }
                    });
                }
                Action::Confirmed(operator) => {
                    for control in &self.operator_controls[operator] {
                        control.send(OperatorCommand::ConfirmSwap);
                    }
                    outcomes.push(Outcome::Confirmed(operator));
                }
                Action::Resume => self.tell_sources(|| SourceCommand::Resume),
                Action::Finish => self.tell_sources(|| SourceCommand::Finish),
                Action::Answer(request, answer) => {
                    if let Some((_, order, plan)) = self.order.take_if(|(of, ..)| *of == request)
                        && answer.is_ok()
                    {
                        self.plan = plan;
                        self.changeover_us = order.changeover_us.load(Ordering::Relaxed);
                    }
                    outcomes.push(Outcome::Answer(request, answer));
                }
                Action::Warn(message) => outcomes.push(Outcome::Warn(message)),
            }
        }
        Ok(outcomes)
    }

    fn tell_sources(&self, command: impl Fn() -> SourceCommand) {
        self.controls.iter().for_each(|control| control.send(command()));
    }

    /// When [`conduct`](Self::conduct) has something to do, unless something happens before.
    pub fn next_tick(&self) -> Option<i64> {
        self.coordinator.next_tick()
    }

    /// Takes a savepoint; see [`Coordinator::savepoint`].
    pub fn savepoint(&mut self, request: RequestId, target: Target, now: i64) {
        self.coordinator.savepoint(request, target, now);
    }

    /// Ends the job in good order; see [`Coordinator::stop`].
    pub fn stop(&mut self, request: RequestId, target: Option<Target>, now: i64) {
        self.coordinator.stop(request, target, now);
    }

    /// Changes the function of an operator at the next barrier; see [`Coordinator::swap`]. `next` is
    /// the plan with the new function.
    pub fn swap(&mut self, order: SwapOrder, plan: SwapPlan, next: Arc<Plan>, now: i64) {
        self.order = Some((plan.request, Arc::new(order), next));
        self.coordinator.swap(plan, now);
    }

    /// How the operator of this index would be written to a manifest after a swap.
    pub fn operator_after(
        &self,
        operator: usize,
        component: &Component,
        next: &Plan,
    ) -> OperatorOf {
        let code =
            Code { bytes: component.bytes().clone(), sha256: *component.digest(), stored: None };
        let ttl = &next.operators[operator].ttl;
        self.coordinator.operator_after(operator, (code, component.declaration()), ttl)
    }

    /// Runs another function beside that of an operator: one for each partition.
    pub fn run_beside(&self, operator: usize, shadows: Vec<Shadow>) {
        for (control, shadow) in self.operator_controls[operator].iter().zip(shadows) {
            control.send(OperatorCommand::Shadow(Box::new(shadow)));
        }
    }

    /// What partitions told of functions beside their own since this was last asked.
    pub fn take_shadowed(&mut self) -> Vec<(usize, ShadowReport)> {
        std::mem::take(&mut self.shadowed)
    }

    /// How long the slowest partition took to change over in the last swap, in microseconds.
    pub fn changeover_us(&self) -> u64 {
        self.changeover_us
    }

    /// What runs: the job's plan with the functions of now.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// How to undo the swap that brought the function which failed with this error, if one did that
    /// can still be undone.
    pub fn undo(&self, error: &Error) -> Option<Undo> {
        let operator = error.operator.clone()?;
        let is_it = |index: usize| self.plan.operators[index].id == operator;
        if let Some((_, order, _)) = &self.order
            && order.rolls_back
            && is_it(order.operator)
        {
            // Its checkpoint was not complete: the newest one has the function before.
            return Some(Undo { operator, previous: None, back_to: None });
        }
        let swap = self.coordinator.progress().unconfirmed?;
        if !swap.rolls_back || !is_it(swap.operator) {
            return None;
        }
        let back_to = swap.migrates.then_some(swap.since);
        Some(Undo { operator, previous: Some(swap.previous), back_to })
    }

    /// What has happened so far.
    pub fn progress(&self) -> Progress {
        self.coordinator.progress()
    }

    /// The number that the next barrier would get.
    pub fn next_id(&self) -> u64 {
        self.coordinator.next_id()
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
