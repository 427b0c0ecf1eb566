//! Runs a job to its end: attempts, each with a thread a task, and a restart after a failure as the
//! job's strategy says.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread;
use std::time::Duration;

use super::attempt::{Attempt, Conductor, Ground, Outcome, Undo, candidates, start_from_newest};
use super::build::NamedTask;
use super::check::make_way;
use super::control::FunctionStatus;
use super::environment::Environment;
use super::plan::{OperatorPlan, Plan, RetainPlan, SinkConnector, is_in_bucket};
use super::report::Report;
use super::requests::Requests;
use super::restart::{Decision, Restarts};
use super::swap::{Swaps, UndoRequest};
use crate::checkpoint::Completed;
use crate::checkpoint::catalog::Located;
use crate::checkpoint::manifest::Kind;
use crate::env::Stopwatch;
use crate::error::{Error, ErrorKind, Result};
use crate::flow::{Event, Metrics, StopFlag, StopReason, Waker, drive};
use crate::wasm::{LogLevel, LogSink};

/// How often the job looks whether it shall stop.
const STOP_POLL: Duration = Duration::from_millis(50);

/// What a run begins with.
pub enum Restore {
    /// The start of the input; refused if there are checkpoints to go on from.
    Unspecified,
    /// The start of the input, whatever there is.
    Nothing,
    /// The newest checkpoint or savepoint in the job's storage; the start if there is none.
    Latest,
    /// This one.
    At(Box<Located>),
}

/// Which functions a job goes on with that is restored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CodeChoice {
    /// Those that the checkpoint belongs to.
    #[default]
    Checkpoint,
    /// Those of the job file, which must be able to take over the state.
    Job,
}

/// What a run needs besides its plan.
pub struct RunOptions {
    /// Asks the job to stop.
    pub stop: Arc<StopFlag>,
    /// Where functions' log lines and the job's warnings go.
    pub log: LogSink,
    /// The counters of this plan, at zero; see [`Metrics::of`].
    pub metrics: Arc<Metrics>,
    /// What to begin with.
    pub restore: Restore,
    /// Which functions to go on with, when it begins with a checkpoint.
    pub code: CodeChoice,
    /// The folder for calls at which functions fault, if they shall be captured.
    pub capture: Option<PathBuf>,
    /// What is asked of the job while it runs, and what is told of it.
    pub requests: Arc<Requests>,
}

/// Runs a job to its end. What its sinks hold back becomes visible with each checkpoint; without
/// checkpoints only if the job ends well, be it that its input ended or that it was asked to stop.
///
/// Reports what was done in any case, beside the failure that ended it, if there was one.
pub fn run(plan: &Plan, options: &RunOptions) -> (Report, Result<()>) {
    let stopwatch = Stopwatch::start();
    let outcome = Run::new(plan, options).run_to_end();
    options.requests.refuse_all("the job has ended");
    if outcome.is_err() {
        options.stop.stop(StopReason::Failed);
    }
    let reason = options.stop.reason();
    let status = options.requests.run_status();
    (Report::new(&plan.name, reason, stopwatch.elapsed(), &options.metrics, &status), outcome)
}

/// How an attempt came to its end.
enum End {
    /// Everything is committed.
    InGoodOrder,
    /// Somebody wanted it to end where it stood.
    AtOnce(StopReason),
    Failed(Error),
    /// A swap is to be undone, for this reason.
    Undone(Undo, Error),
}

struct Run<'a> {
    plan: &'a Plan,
    options: &'a RunOptions,
    restarts: Restarts,
    /// Whether there is a checkpoint of this run, or one that it began with, to go back to.
    has_checkpoint: bool,
    swaps: Swaps,
    /// Somebody asks for a swap to be undone.
    undo: Option<UndoRequest>,
}

impl<'a> Run<'a> {
    fn new(plan: &'a Plan, options: &'a RunOptions) -> Self {
        Self {
            plan,
            options,
            restarts: Restarts::new(&plan.restart, u64::from(std::process::id())),
            has_checkpoint: false,
            swaps: Swaps::default(),
            undo: None,
        }
    }

    fn warn(&self, message: &str) {
        self.options.log.write(LogLevel::Warn, message);
    }

    fn run_to_end(&mut self) -> Result<()> {
        let ground = &mut Ground::open(self.plan, Environment::of_this_machine(), self.options)?;
        let mut first = true;
        loop {
            let stop = Arc::new(StopFlag::default());
            let started = self.start(ground, &stop, first);
            if let Some(undo) = self.undo.take() {
                let failed = started.as_ref().err();
                undo.answer(failed.map_or(Ok(()), |error| Err(Error::storage(error.full_text()))));
            }
            let end = match started {
                Ok(Some(attempt)) => self.drive(attempt, ground, &stop),
                Ok(None) => {
                    self.warn(
                        "the job has finished before, so there is nothing to go on with; \
                               `--restore none` runs it anew",
                    );
                    return Ok(());
                }
                Err(error) if first => return Err(error),
                Err(error) => End::Failed(error),
            };
            first = false;
            match end {
                End::InGoodOrder => return self.end_well(ground),
                End::AtOnce(reason) => return self.end_at_once(ground, reason),
                End::Undone(undo, error) => self.begin_undo(undo, &error, ground),
                End::Failed(error) => {
                    self.swaps.refuse(&error);
                    if !self.wait_to_restart(error, ground)? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// The next attempt goes on with the function before.
    fn begin_undo(&mut self, undo: Undo, error: &Error, ground: &mut Ground) {
        let why = error.full_text();
        self.warn(&format!(
            "the swap of {:?} is rolled back, the function before goes on: {why}",
            undo.operator
        ));
        self.swaps.refuse(error);
        self.swaps.undone(&undo.operator, &why);
        self.options.requests.restarting();
        ground.undo = Some(undo);
    }

    /// Starts an attempt: the first as the options say, later ones from the newest checkpoint. None
    /// if the job was to go on and has come to its end before.
    fn start(
        &mut self,
        ground: &mut Ground,
        stop: &Arc<StopFlag>,
        first: bool,
    ) -> Result<Option<Attempt>> {
        let (plan, options) = (self.plan, self.options);
        let mut found = candidates(plan, ground)?;
        match (&options.restore, first) {
            (Restore::Unspecified, true) if !found.is_empty() => {
                return Err(unspecified(plan, &found[0].name));
            }
            (Restore::Latest, true) if found.is_empty() && has_finished(ground)? => {
                return Ok(None);
            }
            (Restore::Latest, _) => {}
            // An earlier run's checkpoints are not what this one goes on from.
            _ => found.retain(|one| one.id >= ground.first_id),
        }
        if let Some(back_to) = ground.undo.as_ref().and_then(|undo| undo.back_to) {
            found.retain(|one| one.kind == Kind::Checkpoint && one.id == back_to);
        }
        if self.has_checkpoint && found.is_empty() {
            return Err(checkpoints_gone(plan));
        }
        let warn = &mut |message: String| self.warn(&message);
        if let Some((attempt, id)) = start_from_newest(plan, options, ground, found, stop, warn)? {
            self.has_checkpoint = true;
            options.requests.started(Some(id));
            return Ok(Some(attempt));
        }
        let from = match &options.restore {
            Restore::At(located) => Some(&**located),
            _ => None,
        };
        if from.is_none() {
            meet_earlier_output(plan, ground, |message| self.warn(&message))?;
        }
        let attempt = Attempt::start(plan, options, ground, from, stop)?;
        options.requests.started(from.map(|located| located.manifest.id));
        Ok(Some(attempt))
    }

    /// Drives each task with a thread until all have ended.
    fn drive(&mut self, attempt: Attempt, ground: &mut Ground, stop: &Arc<StopFlag>) -> End {
        let Attempt { tasks, mut conductor } = attempt;
        let wakers: Vec<Waker> = tasks.iter().map(|task| task.waker.clone()).collect();
        let mut running = tasks.len();
        let mut failure = self.spawn(tasks, &conductor, ground, stop, &mut running).err();
        let mut asked = false;
        while running > 0 {
            if failure.is_some() {
                stop.stop(StopReason::Failed);
            }
            if self.options.stop.reason() == Some(StopReason::Cancelled) {
                stop.stop(StopReason::Cancelled);
            }
            if stop.ends_at_once() {
                wakers.iter().for_each(Waker::wake);
            } else if let Err(error) = self.conduct(&mut conductor, ground, &mut asked) {
                failure.get_or_insert(error);
                continue;
            }
            match conductor.events().recv_timeout(self.pause(&conductor, ground)) {
                Ok(Event::Ended(end)) => {
                    running -= 1;
                    if let Err(error) = end {
                        failure.get_or_insert(error);
                    }
                }
                Ok(event) if !stop.ends_at_once() => {
                    let now = ground.environment.clock.now_ms();
                    if let Err(error) = conductor.take(event, now) {
                        failure.get_or_insert(error);
                    }
                }
                Ok(_) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
        }
        ground.next_id = conductor.next_id();
        self.note(&conductor);
        let asked = self.undo.as_ref().map(|asked| asked.undo.clone());
        match (failure, stop.reason()) {
            (Some(error), _) => match asked.or_else(|| conductor.undo(&error)) {
                Some(undo) => End::Undone(undo, error),
                None => End::Failed(error),
            },
            (None, Some(reason)) => End::AtOnce(reason),
            (None, None) => End::InGoodOrder,
        }
    }

    fn note(&mut self, conductor: &Conductor) {
        let progress = conductor.progress();
        let is_checkpoint = |last: &Completed| last.kind == Kind::Checkpoint;
        self.has_checkpoint |= progress.last.as_ref().is_some_and(is_checkpoint);
        let unconfirmed = progress.unconfirmed.as_ref().map(|swap| swap.operator);
        let function = |(index, operator): (usize, &OperatorPlan)| FunctionStatus {
            operator: operator.id.clone(),
            sha256: *operator.component.digest(),
            swap: match unconfirmed {
                Some(swapped) if swapped == index => Some("not confirmed yet".into()),
                _ => self.swaps.noted(&operator.id).map(str::to_owned),
            },
        };
        let functions = conductor.plan().operators.iter().enumerate().map(function).collect();
        self.options.requests.note(&progress, functions);
    }

    /// How long nothing needs to be done unless something happens.
    fn pause(&self, conductor: &Conductor, ground: &Ground) -> Duration {
        let now = ground.environment.clock.now_ms();
        let next = conductor.next_tick().map_or(i64::MAX, |time| time.saturating_sub(now).max(0));
        STOP_POLL.min(Duration::from_millis(next.unsigned_abs()))
    }

    fn spawn(
        &self,
        tasks: Vec<NamedTask>,
        conductor: &Conductor,
        ground: &Ground,
        stop: &Arc<StopFlag>,
        running: &mut usize,
    ) -> Result<()> {
        *running = 0;
        for NamedTask { name, waker, mut task } in tasks {
            let (clock, ended) = (ground.environment.clock.clone(), conductor.sender());
            let stop = stop.clone();
            let body = move || {
                let driven = || drive(task.as_mut(), &waker, clock.as_ref(), &stop);
                let end = catch_unwind(AssertUnwindSafe(driven))
                    .unwrap_or_else(|panic| Err(bug(&*panic)));
                // Nothing of it writes any more when its end is told.
                drop(task);
                // The receiver waits for all tasks.
                let _ = ended.send(Event::Ended(end));
            };
            let spawned = thread::Builder::new().name(name).spawn(body);
            spawned.map_err(|cause| Error::input("cannot start a thread").caused_by(cause))?;
            *running += 1;
        }
        Ok(())
    }

    /// Takes checkpoints, and does what is asked from outside.
    fn conduct(
        &mut self,
        conductor: &mut Conductor,
        ground: &Ground,
        asked: &mut bool,
    ) -> Result<()> {
        let now = ground.environment.clock.now_ms();
        let requests = &self.options.requests;
        let is_asked = self.options.stop.reason() == Some(StopReason::Asked);
        if is_asked && !*asked && !requests.has_stopped() {
            *asked = true;
            conductor.stop(requests.interrupt(), None, now);
        }
        let undo = requests.hand_over(conductor, ground, (self.options, &mut self.swaps), now);
        if let Some(undo) = undo {
            self.undo = Some(undo);
            // It ends the attempt as a fault of the new function would.
            return Err(Error::guest("somebody asked for it"));
        }
        let (log, clock) = (&self.options.log, &ground.environment.clock);
        self.swaps.advance(conductor, log, clock, || requests.number());
        for outcome in conductor.conduct(now)? {
            let (outcome, told) = self.swaps.take_outcome(outcome, conductor);
            if let Some(told) = told {
                self.options.log.write(LogLevel::Info, &told);
            }
            let Some(outcome) = outcome else { continue };
            match outcome {
                Outcome::Confirmed(_) => {}
                Outcome::Warn(message) => self.warn(&message),
                Outcome::Answer(request, answer) => {
                    if let Some(message) = requests.answer(request, answer, &self.options.stop) {
                        self.warn(&message);
                    }
                }
            }
        }
        self.note(conductor);
        Ok(())
    }

    /// Waits as the restart strategy says. Returns whether to start again: no if somebody asked the
    /// job to stop meanwhile.
    ///
    /// # Errors
    /// With the failure if there is no other attempt.
    fn wait_to_restart(&mut self, error: Error, ground: &Ground) -> Result<bool> {
        // What the user must mend first would only happen again.
        if matches!(error.kind, ErrorKind::Input | ErrorKind::Interrupted) {
            return Err(error);
        }
        let clock = &ground.environment.clock;
        let after = match self.restarts.on_failure(clock.now_ms()) {
            Decision::Restart { after } => after,
            Decision::GiveUp { reason } if reason.is_empty() => return Err(error),
            Decision::GiveUp { reason } => {
                let hint =
                    error.hint.clone().map_or(reason.clone(), |hint| format!("{hint}; {reason}"));
                return Err(error.hint(hint));
            }
        };
        self.warn(&format!("{}; the job restarts in {after:?}", error.full_text()));
        self.options.requests.restarting();
        let until = clock.now_ms().saturating_add(after.as_millis() as i64);
        while clock.now_ms() < until {
            if self.options.stop.reason().is_some() {
                return Ok(false);
            }
            self.options.requests.refuse_all("the job is about to restart");
            let left = Duration::from_millis((until - clock.now_ms()).max(0) as u64);
            thread::park_timeout(left.min(STOP_POLL));
        }
        Ok(true)
    }

    /// The job has done all it had to do: its own checkpoints have no use any more. One that was
    /// asked to stop keeps them.
    fn end_well(&self, ground: &Ground) -> Result<()> {
        if self.options.stop.reason().is_some() {
            return Ok(());
        }
        finish(self.plan, ground)
    }

    fn end_at_once(&self, ground: &Ground, reason: StopReason) -> Result<()> {
        self.options.stop.stop(reason);
        ground.commits.remove_leftovers(&[])?;
        let retain = self.plan.checkpoint.as_ref().map(|checkpoint| checkpoint.retain);
        match (reason, retain, &ground.catalog) {
            (StopReason::Cancelled, Some(RetainPlan::Never), Some(catalog)) => {
                catalog.delete_checkpoints()
            }
            _ => Ok(()),
        }
    }
}

fn has_finished(ground: &Ground) -> Result<bool> {
    let finished = ground.catalog.as_ref().map(|catalog| catalog.finished()).transpose()?;
    Ok(finished.flatten().is_some())
}

/// Takes note that all input has been processed and all output is committed.
///
/// # Errors
/// If the checkpoint storage fails.
pub fn finish(plan: &Plan, ground: &Ground) -> Result<()> {
    let Some(catalog) = &ground.catalog else { return Ok(()) };
    catalog.finish(ground.next_id - 1, &plan.name, ground.environment.clock.now_ms())
}

/// To begin anew would put out everything again: who took the checkpoints away must say so.
fn checkpoints_gone(plan: &Plan) -> Error {
    let storage = plan.checkpoint.as_ref().map_or("", |checkpoint| &checkpoint.storage);
    let message = format!("the checkpoints of this run are no longer in {storage}");
    Error::storage(message).hint("bring them back, or start the job anew with `--restore none`")
}

/// There are checkpoints, and nobody said whether they are wanted.
fn unspecified(plan: &Plan, newest: &str) -> Error {
    let message = format!(
        "job {:?} has checkpoints of an earlier run, the newest {newest}, and it is not said \
         whether to go on from there",
        plan.name
    );
    Error::input(message).hint(
        "`--restore latest` goes on, `--restore none` begins anew and lets the new run's \
         checkpoints replace them",
    )
}

/// A job that begins anew does not add to the output of an earlier run: refuses it, or warns that
/// it gives way. Of folders of a job without checkpoints `check` has said so.
fn meet_earlier_output(plan: &Plan, ground: &Ground, warn: impl Fn(String)) -> Result<()> {
    for sink in &plan.sinks {
        let SinkConnector::File { path, replace, .. } = &sink.connector else { continue };
        if plan.checkpoint.is_none() && !is_in_bucket(path) {
            continue;
        }
        if ground.commits.output_after(&sink.id, 0)?.is_empty() {
            continue;
        }
        let place = path.display();
        let message = format!("{place} holds the output of an earlier run");
        if *replace {
            let when = match plan.checkpoint {
                Some(_) => "with the first checkpoint",
                None => "if this one ends well",
            };
            warn(format!("{message}, which gives way {when}"));
            continue;
        }
        return Err(Error::input(message).hint(make_way(&sink.id)));
    }
    Ok(())
}

/// A panic of the host is a bug of ours. It ends the job like any failure.
fn bug(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    Error::new(ErrorKind::Storage, format!("a bug in tidegate ended the job: {text}"))
        .hint("please report it with the job file and the lines above")
}
