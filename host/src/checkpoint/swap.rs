//! The coordinator's part in swaps: when the barrier of one comes, and when it is confirmed.

use super::code::Code;
use super::coordinator::Coordinator;
use super::forms;
use super::in_flight::{InFlight, Phase, Purpose};
use super::manifest::{ConfirmAfter, DeclaredOperatorState, Kind};
use super::protocol::{OperatorOf, SwapPlan, Unconfirmed};
use crate::model::{Declaration, Ttl};

impl Coordinator {
    /// Goes on with a swap that was not confirmed when the job was last up.
    pub fn resume_swap(&mut self, unconfirmed: Unconfirmed) {
        self.unconfirmed = Some(unconfirmed);
    }

    /// Changes the function of an operator at the next barrier, which comes as soon as no other is
    /// under way; the answer comes as an action when the checkpoint there is complete.
    ///
    /// # Panics
    /// If the job takes no checkpoints.
    pub fn swap(&mut self, plan: SwapPlan, now: i64) {
        assert!(self.catalog.is_some(), "a swap needs a checkpoint to be undone");
        if self.phase != Phase::Running || self.waiting_swap.is_some() {
            return self.refuse(plan.request);
        }
        self.waiting_swap = Some(Box::new(plan));
        self.begin_swap(now);
    }

    /// What an operator would be after a swap: the states that it has, and those that the new
    /// function declares.
    pub fn operator_after(
        &self,
        operator: usize,
        component: (Code, &Declaration),
        ttl: &[Option<Ttl>],
    ) -> OperatorOf {
        let of = &self.settings.operators[operator];
        let (code, declaration) = component;
        forms::after_swap(of, code, declaration, ttl)
    }

    pub(super) fn begin_swap(&mut self, now: i64) {
        if !self.in_flight.is_empty() {
            return;
        }
        if let Some(plan) = self.waiting_swap.take() {
            match self.phase {
                Phase::Running => self.begin(Purpose::Swap(plan), self.checkpoint_target(), now),
                _ => self.refuse(plan.request),
            }
        }
    }

    /// The operator states that the checkpoint of a swap has: partitions wrote those of the
    /// function before, in its order and its versions.
    pub(super) fn captured_at_swap(&self, plan: &SwapPlan) -> Vec<DeclaredOperatorState> {
        let before = &self.settings.operators[plan.operator].operator_states;
        forms::captured_at_swap(before, &plan.next.operator_states)
    }

    /// Takes note of what this checkpoint means for swaps: one has happened at its barrier, or the
    /// last one comes nearer to be confirmed.
    pub(super) fn advance_swap(&mut self, id: u64, one: &InFlight, now: i64) {
        if let Purpose::Swap(plan) = &one.purpose {
            let SwapPlan { operator, next, rolls_back, migrates, confirmed_after, .. } =
                (**plan).clone();
            let previous = std::mem::replace(&mut self.settings.operators[operator], next).code;
            // State that is on its way must have arrived before there is no way back.
            let at_least = migrates.then_some(ConfirmAfter::Checkpoints(1));
            self.unconfirmed = confirmed_after.or(at_least).map(|confirmed_after| Unconfirmed {
                operator,
                since: id,
                previous,
                rolls_back,
                migrates,
                confirmed_after,
            });
            if self.unconfirmed.is_none() {
                // Partitions remove at once what was kept; manifests must say the same, or columns
                // that later swaps add would not have the same indices in both.
                let operator = &mut self.settings.operators[operator];
                forms::release(&mut operator.states, &mut operator.operator_states);
            }
            return;
        }
        let Some(swap) = &mut self.unconfirmed else { return };
        // What is asked of it has been shown when the job ends.
        let is_last = matches!(one.purpose, Purpose::Last(_));
        if one.kind == Kind::Savepoint && !is_last {
            return;
        }
        let is_due = match &mut swap.confirmed_after {
            ConfirmAfter::Checkpoints(left) => {
                *left = left.saturating_sub(1);
                *left == 0
            }
            ConfirmAfter::TimeMs(time) => *time <= now,
        };
        let of_operator = one.partitions.iter().filter(|(operator, ..)| *operator == swap.operator);
        let is_settled = of_operator.into_iter().all(|(.., snapshot)| !snapshot.unsettled);
        if is_last || (is_due && is_settled) {
            let operator = &mut self.settings.operators[swap.operator];
            forms::release(&mut operator.states, &mut operator.operator_states);
            self.unconfirmed = None;
        }
    }
}
