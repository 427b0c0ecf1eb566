//! Changes the function of an operator of a running job: prepares the new one while the old one
//! works, hands it to the coordinator for a barrier, and tells whoever asked.
//!
//! ```text
//! request --thread--> loaded, compared, opened for all partitions
//!         [--shadow--> both run, reports compared]
//!         --coordinator--> barrier: all partitions change over; its checkpoint holds the new code
//!         --checkpoints--> confirmed, or undone by the next attempt after a fault
//! ```

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{self, Receiver, TryRecvError};
use std::sync::{Arc, Mutex};
use std::thread;

use super::attempt::{Conductor, Ground, Outcome, Undo};
use super::build::{guest_log, open_context, open_error};
use super::control::{Answer, Confirm, OnFault, Reply, SwapAnswer, SwapOutcome, SwapRequest};
use super::plan::Plan;
use crate::checkpoint::manifest::ConfirmAfter;
use crate::checkpoint::{RequestId, SwapPlan};
use crate::env::Clock;
use crate::error::{Error, Result};
use crate::flow::{Event, SwapOrder};
use crate::model::millis;
use crate::operator::{Replacement, Shadow, ShadowReport};
use crate::wasm::compatibility::{Comparison, Verdict};
use crate::wasm::{Component, Instance, LogSink};

/// A request on its way.
pub(super) struct Swap {
    request: SwapRequest,
    reply: Reply,
    stage: Stage,
}

enum Stage {
    /// A thread loads, compares and opens.
    Preparing(Receiver<Result<Prepared>>),
    /// It runs beside the running function; the reports so far, and how many are to come.
    Shadowing(Box<Prepared>, ShadowReport, usize),
    /// It waits for its barrier and the checkpoint there; with the function that runs.
    Changing(RequestId, SwapAnswer, Component),
}

/// A new function that is ready to take over.
struct Prepared {
    operator: usize,
    component: Component,
    comparison: Comparison,
    /// The plan with it.
    next: Arc<Plan>,
    /// By partition.
    replacements: Vec<Replacement>,
}

/// The swap that is under way, if one is, and what earlier ones have left.
#[derive(Default)]
pub(super) struct Swaps {
    current: Option<Swap>,
    /// By operator.
    history: BTreeMap<String, Past>,
}

/// What the last swap of an operator has left.
struct Past {
    /// The function before it; none if that is back.
    before: Option<Component>,
    /// What became of the swap.
    what: String,
}

/// A swap that is to be undone because somebody asks for it.
pub(super) struct UndoRequest {
    /// What to undo.
    pub(super) undo: Undo,
    reply: Reply,
    answer: SwapAnswer,
}

impl UndoRequest {
    /// Tells whoever asked what came of it.
    pub(super) fn answer(self, done: Result<()>) {
        match done {
            Ok(()) => send(self.reply, self.answer),
            Err(error) => self.reply.send(Err(error)),
        }
    }
}

impl Swaps {
    /// Begins what is asked; gives it back if it is to undo the swap that is not confirmed.
    pub(super) fn begin(
        &mut self,
        request: SwapRequest,
        reply: Reply,
        conductor: &Conductor,
        (ground, log): (&Ground, &LogSink),
    ) -> Option<UndoRequest> {
        match self.try_begin(&request, conductor, (ground, log)) {
            Ok(Started::Preparing(receiver)) => {
                self.current = Some(Swap { request, reply, stage: Stage::Preparing(receiver) });
            }
            Ok(Started::Undo(undo)) => {
                let (undo, answer) = *undo;
                return Some(UndoRequest { undo, reply, answer });
            }
            Err(error) => reply.send(Err(error)),
        }
        None
    }

    fn try_begin(
        &mut self,
        request: &SwapRequest,
        conductor: &Conductor,
        (ground, log): (&Ground, &LogSink),
    ) -> Result<Started> {
        let plan = conductor.plan().clone();
        let operator = find(&plan, &request.operator)?;
        if self.current.is_some() {
            let hint = "wait until it is done; `tidegate status` shows it";
            return Err(Error::input("another swap of this job is under way").hint(hint));
        }
        let progress = conductor.progress();
        let unconfirmed = progress.unconfirmed.as_ref();
        if let (Some(swap), None) = (unconfirmed, &request.component)
            && swap.operator == operator
        {
            return Ok(self.undo_by_hand(&plan, operator, swap));
        }
        if ground.catalog.is_none() && !request.dry_run {
            let message = "the job takes no checkpoints, so a swap could not be undone";
            let hint = "add [checkpoint] to the job file; storage = \"memory\" will do";
            return Err(Error::input(message).hint(hint));
        }
        if let Some(swap) = unconfirmed.filter(|_| !request.dry_run) {
            let id = &plan.operators[swap.operator].id;
            return Err(Error::input(format!("the swap of {id:?} is not confirmed yet")).hint(
                "wait for its checkpoints, undo it with `--to-previous`, or swap with \
                 `--confirm-after 0` where no way back is needed",
            ));
        }
        let past = self.history.get(&request.operator);
        let component = match (&request.component, past.and_then(|past| past.before.clone())) {
            (Some(path), _) => Wanted::At(path.clone()),
            (None, Some(component)) => Wanted::Known(component),
            (None, None) => {
                let message = format!("no function came before that of {:?}", request.operator);
                return Err(Error::input(message).hint("name the component to go back to"));
            }
        };
        let (sender, receiver) = mpsc::channel();
        let (events, log, clock) =
            (conductor.sender(), log.clone(), ground.environment.clock.clone());
        let prepare = move || {
            // Whoever asked may be gone with the attempt; the nudge wakes the run loop.
            let _ = sender.send(prepare(&plan, operator, component, &log, &clock));
            let _ = events.send(Event::Nudge);
        };
        let spawned = thread::Builder::new().name("tidegate-swap".into()).spawn(prepare);
        spawned.map_err(|cause| Error::input("cannot start a thread").caused_by(cause))?;
        Ok(Started::Preparing(receiver))
    }

    /// `--to-previous` while the swap can still be undone.
    fn undo_by_hand(
        &self,
        plan: &Plan,
        operator: usize,
        swap: &crate::checkpoint::Unconfirmed,
    ) -> Started {
        let id = plan.operators[operator].id.clone();
        let back_to = swap.migrates.then_some(swap.since);
        let undo = Undo { operator: id, previous: Some(swap.previous.clone()), back_to };
        let answer = SwapAnswer {
            from: *plan.operators[operator].component.digest(),
            to: swap.previous.sha256,
            comparison: Comparison { verdict: Verdict::Identical, differences: Vec::new() },
            shadow: None,
            outcome: SwapOutcome::RolledBack,
        };
        Started::Undo(Box::new((undo, answer)))
    }

    /// Goes on with the swap that is under way, as far as it goes now. `number` gives the next
    /// number of a request.
    pub(super) fn advance(
        &mut self,
        conductor: &mut Conductor,
        log: &LogSink,
        clock: &Arc<dyn Clock>,
        number: impl FnOnce() -> RequestId,
    ) {
        let reports = conductor.take_shadowed();
        let Some(mut swap) = self.current.take() else { return };
        match swap.stage {
            Stage::Preparing(receiver) => match receiver.try_recv() {
                Err(TryRecvError::Empty) => {
                    swap.stage = Stage::Preparing(receiver);
                    self.current = Some(swap);
                }
                Err(TryRecvError::Disconnected) => {
                    swap.reply.send(Err(Error::input("the new function could not be prepared")));
                }
                Ok(Err(error)) => swap.reply.send(Err(error)),
                Ok(Ok(prepared)) => {
                    let Swap { request, reply, .. } = swap;
                    self.go_on(request, reply, prepared, conductor, (log, clock), number);
                }
            },
            Stage::Shadowing(prepared, mut report, mut missing) => {
                for (operator, one) in reports {
                    if operator == prepared.operator {
                        report.add(one);
                        missing -= 1;
                    }
                }
                if missing > 0 {
                    swap.stage = Stage::Shadowing(prepared, report, missing);
                    self.current = Some(swap);
                    return;
                }
                let Swap { request, reply, .. } = swap;
                let answer = answer(conductor, &prepared, Some(report.clone()));
                match request.promote && report.is_same() {
                    true => {
                        self.change(request, reply, *prepared, answer, conductor, clock, number());
                    }
                    false => send(reply, answer),
                }
            }
            Stage::Changing(..) => self.current = Some(swap),
        }
    }

    fn go_on(
        &mut self,
        request: SwapRequest,
        reply: Reply,
        prepared: Prepared,
        conductor: &mut Conductor,
        (log, clock): (&LogSink, &Arc<dyn Clock>),
        number: impl FnOnce() -> RequestId,
    ) {
        let mut answer = answer(conductor, &prepared, None);
        let verdict = prepared.comparison.verdict;
        if !verdict.allows() {
            answer.outcome = SwapOutcome::Refused;
            return send(reply, answer);
        }
        if request.dry_run {
            return send(reply, answer);
        }
        let Some(calls) = request.shadow else {
            return self.change(request, reply, prepared, answer, conductor, clock, number());
        };
        match shadows(conductor.plan(), &prepared, calls, log, clock) {
            Ok(shadows) => {
                let missing = shadows.len();
                conductor.run_beside(prepared.operator, shadows);
                let stage = Stage::Shadowing(Box::new(prepared), ShadowReport::default(), missing);
                self.current = Some(Swap { request, reply, stage });
            }
            Err(error) => reply.send(Err(error)),
        }
    }

    /// Hands the swap to the coordinator.
    #[expect(clippy::too_many_arguments, reason = "the parts of one swap, each used once")]
    fn change(
        &mut self,
        request: SwapRequest,
        reply: Reply,
        prepared: Prepared,
        answer: SwapAnswer,
        conductor: &mut Conductor,
        clock: &Arc<dyn Clock>,
        number: RequestId,
    ) {
        let Prepared { operator, component, next, replacements, comparison } = prepared;
        let now = clock.now_ms();
        let plan = conductor.plan();
        let declared = &plan.operators[operator].component.declaration().outputs;
        let place = |name: &str| declared.iter().position(|output| output.name == name);
        let outputs = component.declaration().outputs.iter().map(|one| place(&one.name)).collect();
        let after = conductor.operator_after(operator, &component, &next);
        let unsettles = after
            .states
            .iter()
            .any(|state| !matches!(state.fate, crate::checkpoint::manifest::DeclaredFate::Live));
        let rolls_back = request.on_fault == OnFault::Rollback;
        let confirmed_after = match request.confirm {
            Confirm::Checkpoints(0) => None,
            Confirm::Checkpoints(count) => Some(ConfirmAfter::Checkpoints(count)),
            Confirm::AfterMs(after) => {
                let after = millis(std::time::Duration::from_millis(after));
                Some(ConfirmAfter::TimeMs(now.saturating_add(after)))
            }
        };
        let order = SwapOrder {
            operator,
            context: open_context(&next.operators[operator], 0),
            component,
            outputs,
            unsettles,
            rolls_back,
            replacements: Mutex::new(replacements.into_iter().map(Some).collect()),
            changeover_us: AtomicU64::new(0),
        };
        let plan = SwapPlan {
            request: number,
            operator,
            next: after,
            rolls_back,
            migrates: comparison.verdict == Verdict::Migrates,
            confirmed_after,
        };
        let before = conductor.plan().operators[operator].component.clone();
        conductor.swap(order, plan, next, now);
        let stage = Stage::Changing(number, answer, before);
        self.current = Some(Swap { request, reply, stage });
    }

    /// Takes an outcome that belongs to a swap; gives back all others. The second value is what to
    /// tell the user.
    pub(super) fn take_outcome(
        &mut self,
        outcome: Outcome,
        conductor: &Conductor,
    ) -> (Option<Outcome>, Option<String>) {
        match outcome {
            Outcome::Confirmed(operator) => {
                let id = &conductor.plan().operators[operator].id;
                self.note(id, "confirmed");
                (None, Some(format!("the swap of {id:?} is confirmed")))
            }
            Outcome::Answer(request, answered) => {
                let is_it = |swap: &mut Swap| match &swap.stage {
                    Stage::Changing(number, ..) => *number == request,
                    _ => false,
                };
                let Some(swap) = self.current.take_if(is_it) else {
                    return (Some(Outcome::Answer(request, answered)), None);
                };
                let Stage::Changing(_, mut answer, before) = swap.stage else {
                    unreachable!("it was looked at just now")
                };
                match answered {
                    Err(error) => {
                        swap.reply.send(Err(error));
                        (None, None)
                    }
                    Ok(place) => {
                        let confirmed = conductor.progress().unconfirmed.is_none();
                        let what = if confirmed { "confirmed" } else { "not confirmed yet" };
                        let past = Past { before: Some(before), what: what.into() };
                        self.history.insert(swap.request.operator.clone(), past);
                        let told = format!(
                            "operator {:?} runs {} since {}{}",
                            swap.request.operator,
                            answer.to.short(),
                            place.clone().unwrap_or_default(),
                            if confirmed { "" } else { ", not confirmed yet" }
                        );
                        answer.outcome = SwapOutcome::Swapped {
                            checkpoint: place.unwrap_or_default(),
                            changeover_us: conductor.changeover_us(),
                            confirmed,
                        };
                        send(swap.reply, answer);
                        (None, Some(told))
                    }
                }
            }
            other => (Some(other), None),
        }
    }

    /// Takes note of what became of a swap.
    fn note(&mut self, operator: &str, what: &str) {
        if let Some(past) = self.history.get_mut(operator) {
            past.what = what.into();
        }
    }

    /// Takes note that the function before is back.
    pub(super) fn undone(&mut self, operator: &str, why: &str) {
        let past = Past { before: None, what: format!("rolled back: {why}") };
        self.history.insert(operator.into(), past);
    }

    /// What became of the last swap of an operator.
    pub(super) fn noted(&self, operator: &str) -> Option<&str> {
        self.history.get(operator).map(|past| past.what.as_str())
    }

    /// The attempt has ended: what was under way is answered with the failure.
    pub(super) fn refuse(&mut self, why: &Error) {
        if let Some(swap) = self.current.take() {
            let message = format!("the swap did not come to its end: {}", why.full_text());
            swap.reply.send(Err(Error::new(why.kind, message)));
        }
    }
}

enum Started {
    Preparing(Receiver<Result<Prepared>>),
    Undo(Box<(Undo, SwapAnswer)>),
}

/// The function that is wanted.
enum Wanted {
    At(std::path::PathBuf),
    Known(Component),
}

fn find(plan: &Plan, id: &str) -> Result<usize> {
    if let Some(index) = plan.operators.iter().position(|operator| operator.id == id) {
        return Ok(index);
    }
    let names: Vec<&str> = plan.operators.iter().map(|one| one.id.as_str()).collect();
    let hint = match plan.sources.iter().any(|source| source.id == id) {
        true => "it is a source; functions of operators are swapped".to_owned(),
        false => format!("its operators are {}", names.join(", ")),
    };
    Err(Error::input(format!("the job has no operator {id:?}")).hint(hint))
}

/// Loads, compares and opens a function. Runs in a thread of its own.
fn prepare(
    plan: &Plan,
    operator: usize,
    wanted: Wanted,
    log: &LogSink,
    clock: &Arc<dyn Clock>,
) -> Result<Prepared> {
    let running = &plan.operators[operator];
    let component = match wanted {
        Wanted::At(path) => Component::load(running.component.engine(), Path::new(&path))?,
        Wanted::Known(component) => component,
    };
    let comparison = plan.compare_function(operator, &component);
    if !comparison.verdict.allows() {
        let next = Arc::new(plan.clone());
        return Ok(Prepared { operator, component, comparison, next, replacements: Vec::new() });
    }
    let next = plan.with_function(operator, component.clone())?;
    let of = &next.operators[operator];
    let open = |partition| {
        let context = open_context(of, partition);
        let log = guest_log(log, clock.clone(), &of.id, partition);
        let instance = Instance::open(&component, &context, &of.limits, log)
            .map_err(|fault| open_error("operator", &of.id, &fault))?;
        Ok(Replacement { component: component.clone(), context, instance })
    };
    let replacements = (0..of.parallelism).map(open).collect::<Result<_>>()?;
    Ok(Prepared { operator, component, comparison, next: Arc::new(next), replacements })
}

fn shadows(
    plan: &Plan,
    prepared: &Prepared,
    calls: u64,
    log: &LogSink,
    clock: &Arc<dyn Clock>,
) -> Result<Vec<Shadow>> {
    if prepared.comparison.verdict == Verdict::Migrates {
        let message = "a shadow run sees the state of the running function, which the new one \
                       cannot read without migrating it";
        return Err(Error::input(message).hint("swap without --shadow; a fault rolls it back"));
    }
    let of = &prepared.next.operators[prepared.operator];
    let open = |partition| {
        let context = open_context(of, partition);
        let log = guest_log(log, clock.clone(), &plan.operators[prepared.operator].id, partition);
        Shadow::open(&prepared.component, context, &of.limits, log, calls)
            .map_err(|fault| open_error("operator", &of.id, &fault))
    };
    (0..of.parallelism).map(open).collect()
}

fn answer(conductor: &Conductor, prepared: &Prepared, shadow: Option<ShadowReport>) -> SwapAnswer {
    SwapAnswer {
        from: *conductor.plan().operators[prepared.operator].component.digest(),
        to: *prepared.component.digest(),
        comparison: prepared.comparison.clone(),
        shadow,
        outcome: SwapOutcome::Unchanged,
    }
}

fn send(reply: Reply, answer: SwapAnswer) {
    reply.send(Ok(Answer { savepoint: None, swap: Some(answer) }));
}
