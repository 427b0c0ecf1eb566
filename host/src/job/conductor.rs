//! Stands between the coordinator of an attempt and its tasks: hands barriers and commands to the
//! ones, and what they tell to the other.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};

use super::backends::Backends;
use super::ground::Undo;
use super::plan::Plan;
use crate::checkpoint::{
    Action, Code, Coordinator, OperatorOf, Progress, RequestId, SwapPlan, Target,
};
use crate::error::{Error, Result};
use crate::flow::{
    Barrier, Event, OperatorCommand, OperatorControl, SourceCommand, SourceControl, SwapOrder,
};
use crate::operator::{Shadow, ShadowReport};
use crate::wasm::Component;

/// What a conductor stands between.
pub(super) type Parts =
    (Coordinator, Arc<Plan>, Vec<Arc<SourceControl>>, Vec<Vec<Arc<OperatorControl>>>);

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
    /// Of an attempt that is about to run: its coordinator and plan, the controls of its sources
    /// and of its operators' partitions, both ends of the channel of events, and what its state
    /// lies on.
    pub(super) fn new(
        (coordinator, plan, controls, operator_controls): Parts,
        (sender, events): (mpsc::Sender<Event>, Receiver<Event>),
        backends: Backends,
    ) -> Self {
        Self {
            coordinator,
            plan,
            controls,
            operator_controls,
            order: None,
            shadowed: Vec::new(),
            changeover_us: 0,
            events,
            sender,
            _backends: backends,
        }
    }

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

    /// Changes the function of an operator at the next barrier; see [`Coordinator::swap`]. `next`
    /// is the plan with the new function.
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
