//! One attempt to run a job, from its start or from a checkpoint: the tasks, and the conductor that
//! takes checkpoints of them.
//!
//! Who drives them is not said here: threads in production, one loop in a simulation.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use super::backends::Backends;
use super::build::{Built, NamedTask, Parts, build};
use super::environment::Environment;
use super::plan::{CheckpointPlan, Plan, SinkConnector};
use super::restore::Restored;
use super::run::RunOptions;
use crate::checkpoint::catalog::{Candidate, Located};
use crate::checkpoint::manifest::{DeclaredOperatorState, DeclaredState, Manifest, PreparedOutput};
use crate::checkpoint::{
    Action, Catalog, Commits, Coordinator, CoordinatorSettings, OperatorOf, Progress, RequestId,
    Target,
};
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Barrier, Event, SourceCommand, SourceControl, StopFlag};
use crate::wasm::LogLevel;

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
}

impl Ground {
    /// Opens the storages of a plan.
    ///
    /// # Errors
    /// If one cannot be opened, or if the checkpoint storage belongs to another job.
    pub fn open(plan: &Plan, environment: Environment) -> Result<Self> {
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
        Ok(Self { environment, catalog, commits, first_id, next_id: first_id, attempts: 0 })
    }
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
        let restored =
            from.map(|located| Restored::new(located, plan, ground.environment.clock.now_ms()));
        let restored = restored.transpose()?;
        let warn = |message: String| options.log.write(LogLevel::Warn, &message);
        let first = match from {
            Some(located) => later_output(plan, ground, &located.manifest, warn)?,
            None => replacements(plan),
        };
        if let Some(located) = from {
            let outputs: Vec<&PreparedOutput> = located.manifest.outputs.iter().collect();
            located.settle()?;
            ground.commits.commit(&outputs)?;
            ground.next_id = ground.next_id.max(located.manifest.id + 1);
        }
        ground.commits.remove_leftovers()?;
        if let Some(catalog) = &ground.catalog {
            catalog.sweep()?;
        }
        let after = from.map_or(0, |located| located.manifest.id);
        let abandoned = ground.catalog.as_ref().map(|one| one.checkpoints_after(after));
        let abandoned = abandoned.transpose()?.unwrap_or_default();
        ground.attempts += 1;
        let (events, received) = mpsc::channel();
        let mut backends = Backends::new(plan)?;
        let built = build(Parts {
            plan,
            options,
            environment: &ground.environment,
            stop,
            commits: &ground.commits,
            events: &events,
            restored: restored.as_ref(),
            backends: &mut backends,
            run: format!("{}-{}", ground.environment.run, ground.attempts),
        })?;
        let Built { tasks, controls } = built;
        let now = ground.environment.clock.now_ms();
        let mut coordinator = Coordinator::new(
            settings(plan, tasks.len()),
            ground.catalog.clone(),
            ground.commits.clone(),
            ground.next_id,
            first,
            now,
        );
        coordinator.abandon(abandoned);
        let conductor = Conductor {
            coordinator,
            controls,
            events: received,
            sender: events,
            _backends: backends,
        };
        Ok(Self { tasks, conductor })
    }
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
        let SinkConnector::File { path, replace, .. } = &sink.connector else { continue };
        let (place, kind, after) = (path.display(), manifest.kind.word(), manifest.id);
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

fn settings(plan: &Plan, tasks: usize) -> CoordinatorSettings {
    let operators = plan.operators.iter().map(|operator| {
        let states = operator.component.declaration().states.iter();
        let states = states
            .zip(&operator.ttl)
            .map(|(state, ttl)| DeclaredState {
                name: state.name.clone(),
                kind: state.kind,
                stamped: ttl.map(|ttl| ttl.domain),
            })
            .collect();
        let declared = &operator.component.declaration().operator_states;
        let operator_states = declared
            .iter()
            .map(|state| DeclaredOperatorState {
                name: state.name.clone(),
                redistribution: state.redistribution,
            })
            .collect();
        OperatorOf { id: operator.id.clone(), states, operator_states }
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
    /// Answer whoever asked: where the savepoint is, or why there is none.
    Answer(RequestId, Result<Option<String>>),
    /// Tell the user.
    Warn(String),
}

/// Stands between the coordinator and the tasks.
pub struct Conductor {
    coordinator: Coordinator,
    controls: Vec<Arc<SourceControl>>,
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
            Event::Ended(_) => Ok(()),
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
                Action::Inject { id, target, hold } => self.tell_sources(|| {
                    let barrier = Barrier { id, target: target.clone() };
                    SourceCommand::Barrier { barrier, hold }
                }),
                Action::Resume => self.tell_sources(|| SourceCommand::Resume),
                Action::Finish => self.tell_sources(|| SourceCommand::Finish),
                Action::Answer(request, answer) => outcomes.push(Outcome::Answer(request, answer)),
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
