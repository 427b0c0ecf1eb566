//! Decides when a checkpoint begins, when it is complete, what is committed then and what is thrown
//! away. A state machine: told the time and what tasks acknowledge, it says what is to be done.
//!
//! The order that makes output exactly-once, each step durable before the next begins:
//!
//! 1. every task has uploaded its part and made its prepared output durable, and acknowledges;
//! 2. the manifest is written;
//! 3. the prepared output is committed by renames, which a restore repeats;
//! 4. older checkpoints are removed.
//!
//! Without a storage there are no manifests; the one barrier at the end commits the output. The
//! design is Flink's (Carbone et al., Lightweight Asynchronous Snapshots for Distributed Dataflows,
//! 2015).

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::Catalog;
use super::commit::Commits;
use super::in_flight::{InFlight, Phase, Purpose};
use super::manifest::{
    DeclaredOperatorState, Kind, Manifest, OperatorState, PreparedOutput, UnconfirmedSwap,
};
use super::protocol::{
    Acknowledgement, Action, Completed, CoordinatorSettings, OperatorOf, Policy, Progress,
    RequestId, SwapPlan, Target, Unconfirmed,
};
use crate::error::{Error, Result};
use crate::model::millis;
use crate::state::SnapshotForm;

/// The coordinator of one attempt to run a job.
pub struct Coordinator {
    pub(super) settings: CoordinatorSettings,
    pub(super) catalog: Option<Catalog>,
    commits: Commits,
    pub(super) phase: Phase,
    next_id: u64,
    pub(super) in_flight: BTreeMap<u64, InFlight>,
    /// What waits to be committed, by the barrier that it precedes.
    prepared: Vec<(u64, PreparedOutput)>,
    exhausted: BTreeSet<usize>,
    /// Given up, with files that tasks may still have been writing.
    given_up: Vec<u64>,
    /// Of a past that the first commit undoes.
    abandoned: Vec<u64>,
    /// A swap that waits until no other barrier is under way.
    pub(super) waiting_swap: Option<Box<SwapPlan>>,
    /// A swap that can still be undone.
    pub(super) unconfirmed: Option<Unconfirmed>,
    failures: u32,
    next_periodic_ms: i64,
    ended_ms: i64,
    progress: Progress,
    actions: Vec<Action>,
}

impl Coordinator {
    /// A coordinator that numbers barriers from `next_id`. `first` is what the first commit of the
    /// run does besides.
    pub fn new(
        settings: CoordinatorSettings,
        catalog: Option<Catalog>,
        commits: Commits,
        next_id: u64,
        first: Vec<PreparedOutput>,
        now: i64,
    ) -> Self {
        let interval = settings.policy.as_ref().map_or(0, |policy| millis(policy.interval));
        Self {
            settings,
            catalog,
            commits,
            phase: Phase::Running,
            next_id,
            in_flight: BTreeMap::new(),
            prepared: first.into_iter().map(|output| (0, output)).collect(),
            exhausted: BTreeSet::new(),
            given_up: Vec::new(),
            abandoned: Vec::new(),
            waiting_swap: None,
            unconfirmed: None,
            failures: 0,
            next_periodic_ms: now.saturating_add(interval),
            ended_ms: i64::MIN,
            progress: Progress::default(),
            actions: Vec::new(),
        }
    }

    /// Removes these checkpoints after the first commit: the job began before them, so that what
    /// they go on from is no longer what its output says.
    pub fn abandon(&mut self, checkpoints: Vec<u64>) {
        self.abandoned = checkpoints;
    }

    /// Begins the next checkpoint at once.
    pub fn begin_soon(&mut self, now: i64) {
        self.next_periodic_ms = now;
    }

    /// What is to be done, in order.
    pub fn take_actions(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// What has happened so far.
    pub fn progress(&self) -> Progress {
        Progress {
            in_flight: self.in_flight.len(),
            unconfirmed: self.unconfirmed.clone(),
            ..self.progress.clone()
        }
    }

    /// The number that the next barrier gets.
    pub fn next_id(&self) -> u64 {
        self.next_id
    }

    /// When [`tick`](Self::tick) has something to do, unless something else happens before.
    pub fn next_tick(&self) -> Option<i64> {
        let policy = self.settings.policy.as_ref()?;
        let timeouts = self.in_flight.values().map(|one| one.times_out(policy));
        let is_free = self.phase == Phase::Running && self.waiting_swap.is_none();
        let periodic = (is_free && self.has_room(policy))
            .then(|| self.next_periodic_ms.max(self.pause_ends(policy)));
        timeouts.chain(periodic).min()
    }

    fn pause_ends(&self, policy: &Policy) -> i64 {
        self.ended_ms.saturating_add(millis(policy.min_pause))
    }

    fn has_room(&self, policy: &Policy) -> bool {
        self.in_flight.len() < policy.max_concurrent as usize
    }

    /// Does what is due: gives up what takes too long, begins what it is time for.
    ///
    /// # Errors
    /// If the job must fail: too many checkpoints did.
    pub fn tick(&mut self, now: i64) -> Result<()> {
        if let Some(policy) = self.settings.policy.clone() {
            let late = |one: &InFlight| one.times_out(&policy) <= now;
            let late: Vec<u64> =
                self.in_flight.iter().filter(|(_, one)| late(one)).map(|(&id, _)| id).collect();
            for id in late {
                let waiting = self.in_flight[&id].waiting.len();
                let why =
                    format!("{waiting} tasks did not acknowledge it within checkpoint.timeout");
                self.give_up(id, Error::storage(why), now)?;
            }
            self.begin_swap(now);
            let due = self.next_periodic_ms.max(self.pause_ends(&policy)) <= now;
            let is_free = self.phase == Phase::Running && self.waiting_swap.is_none();
            if is_free && due && self.has_room(&policy) {
                self.next_periodic_ms = now.saturating_add(millis(policy.interval));
                self.begin(Purpose::Periodic, self.checkpoint_target(), now);
            }
        }
        let retry_due = self.failures == 0 || self.next_periodic_ms <= now;
        if self.phase == Phase::Ending && self.in_flight.is_empty() && retry_due {
            self.begin(Purpose::Last(None), self.checkpoint_target(), now);
        }
        Ok(())
    }

    /// A source has no more records.
    pub fn exhausted(&mut self, source: usize) {
        self.exhausted.insert(source);
        if self.exhausted.len() == self.settings.sources && self.phase == Phase::Running {
            self.phase = Phase::Ending;
        }
    }

    /// Somebody asks for a savepoint at `target`; the answer comes as an action.
    pub fn savepoint(&mut self, request: RequestId, target: Target, now: i64) {
        match self.phase {
            Phase::Running => self.begin(Purpose::Savepoint(request), Some(target), now),
            _ => self.refuse(request),
        }
    }

    /// Somebody asks the job to end with a last checkpoint, or with a savepoint at `target`.
    pub fn stop(&mut self, request: RequestId, target: Option<Target>, now: i64) {
        if self.phase != Phase::Running {
            return self.refuse(request);
        }
        self.phase = Phase::Stopping;
        let target = target.or_else(|| self.checkpoint_target());
        self.begin(Purpose::Last(Some(request)), target, now);
    }

    pub(super) fn refuse(&mut self, request: RequestId) {
        let error = Error::input("the job is about to end");
        self.actions.push(Action::Answer(request, Err(error)));
    }

    /// Where the next checkpoint lies, if checkpoints are taken.
    pub(super) fn checkpoint_target(&self) -> Option<Target> {
        let catalog = self.catalog.as_ref()?;
        let folder = format!("chk-{}", self.next_id);
        Some(Target { storage: catalog.storage.clone(), folder, form: SnapshotForm::Native })
    }

    pub(super) fn begin(&mut self, purpose: Purpose, target: Option<Target>, now: i64) {
        let id = self.next_id;
        self.next_id += 1;
        let hold = matches!(purpose, Purpose::Last(_));
        let swaps = matches!(purpose, Purpose::Swap(_));
        self.actions.push(Action::Inject { id, target: target.clone(), hold, swaps });
        let canonical = target.as_ref().is_some_and(|to| to.form == SnapshotForm::Canonical);
        let in_flight = InFlight {
            purpose,
            kind: if canonical { Kind::Savepoint } else { Kind::Checkpoint },
            target,
            started_ms: now,
            waiting: (0..self.settings.tasks).collect(),
            sources: Vec::new(),
            partitions: Vec::new(),
        };
        self.in_flight.insert(id, in_flight);
    }

    /// A task acknowledges a barrier.
    ///
    /// # Errors
    /// If the job must fail: output was lost or cannot be committed, or too many checkpoints
    /// failed.
    pub fn acknowledge(&mut self, acknowledgement: Acknowledgement, now: i64) -> Result<()> {
        let Acknowledgement { id, task, outputs, part } = acknowledgement;
        // Also what a barrier prepared whose checkpoint was given up waits for the next one.
        self.prepared.extend(outputs?.into_iter().map(|output| (id, output)));
        let Some(one) = self.in_flight.get_mut(&id) else { return Ok(()) };
        match part {
            Ok(part) => {
                one.waiting.remove(&task);
                one.sources.extend(part.source);
                one.partitions.extend(part.operator);
                if one.waiting.is_empty() { self.complete(id, now) } else { Ok(()) }
            }
            Err(error) => self.give_up(id, error, now),
        }
    }

    /// All tasks have acknowledged: writes the manifest, then commits.
    fn complete(&mut self, id: u64, now: i64) -> Result<()> {
        let one = self.in_flight.remove(&id).expect("it was acknowledged just now");
        let before = self.unconfirmed.clone();
        let operators_before = self.settings.operators.clone();
        let captured = match &one.purpose {
            Purpose::Swap(plan) => Some((plan.operator, self.captured_at_swap(plan))),
            _ => None,
        };
        self.advance_swap(id, &one, now);
        let manifest = match self.write_manifest(id, &one, captured, now) {
            Ok(manifest) => manifest,
            Err(error) => {
                // Nothing is confirmed, and what is kept stays kept.
                self.unconfirmed = before;
                self.settings.operators = operators_before;
                self.in_flight.insert(id, one);
                return self.give_up(id, error, now);
            }
        };
        let is_confirmed = before.as_ref().filter(|_| self.unconfirmed.is_none());
        self.actions.extend(is_confirmed.map(|swap| Action::Confirmed(swap.operator)));
        // A savepoint of a job that goes on commits nothing: recovery may go back to before it. Nor
        // does what a swap may still undo; what came before its barrier stays in any case.
        let is_swap = matches!(one.purpose, Purpose::Swap(_));
        let is_held = self.unconfirmed.as_ref().is_some_and(|swap| swap.migrates) && !is_swap;
        if !matches!(one.purpose, Purpose::Savepoint(_)) && !is_held {
            let outputs: Vec<&PreparedOutput> = up_to(&self.prepared, id).collect();
            self.commits.commit(&outputs)?;
            self.commits.completed(&manifest.sources);
            self.prepared.retain(|(before, _)| *before > id);
            self.remove_abandoned();
        }
        self.failures = 0;
        self.ended_ms = now;
        self.note(id, &one, &manifest, now);
        self.forget_older(id, &one);
        let place = one.target.as_ref().map(Target::place);
        match one.purpose {
            Purpose::Periodic => {}
            Purpose::Savepoint(request) => self.actions.push(Action::Answer(request, Ok(place))),
            Purpose::Swap(plan) => {
                if self.unconfirmed.is_none() {
                    self.actions.push(Action::Confirmed(plan.operator));
                }
                self.actions.push(Action::Answer(plan.request, Ok(place)));
            }
            Purpose::Last(request) => {
                self.phase = Phase::Finished;
                self.actions.push(Action::Finish);
                let answer = request.map(|request| Action::Answer(request, Ok(place)));
                self.actions.extend(answer);
            }
        }
        Ok(())
    }

    /// Writes the manifest; `captured` are the operator states of an operator that are others than
    /// those of its function.
    fn write_manifest(
        &mut self,
        id: u64,
        one: &InFlight,
        captured: Option<(usize, Vec<DeclaredOperatorState>)>,
        now: i64,
    ) -> Result<Manifest> {
        let mut manifest = self.manifest(id, one, now);
        if let Some((operator, states)) = captured {
            manifest.operators[operator].operator_states = states;
        }
        let Some(target) = &one.target else { return Ok(manifest) };
        for (of, operator) in self.settings.operators.iter_mut().zip(&mut manifest.operators) {
            operator.component = Some(of.code.store(target, id, &of.id)?);
        }
        if let Some(swap) = &mut self.unconfirmed {
            let operator = self.settings.operators[swap.operator].id.clone();
            let previous = swap.previous.store(target, id, &operator)?;
            let Unconfirmed { since, rolls_back, migrates, confirmed_after, .. } = *swap;
            manifest.swap = Some(UnconfirmedSwap {
                operator,
                since,
                previous,
                rolls_back,
                migrates,
                confirmed_after,
            });
        }
        super::catalog::write(&*target.storage, &target.folder, &manifest)?;
        Ok(manifest)
    }

    fn manifest(&self, id: u64, one: &InFlight, now: i64) -> Manifest {
        let operator = |(index, of): (usize, &OperatorOf)| {
            let mut parts: Vec<_> =
                one.partitions.iter().filter(|(operator, ..)| *operator == index).collect();
            parts.sort_by_key(|(_, partition, _)| *partition);
            let partitions = parts.into_iter().map(|(.., snapshot)| snapshot.clone()).collect();
            let OperatorOf { id, states, operator_states, code: _ } = of.clone();
            OperatorState { id, component: None, states, operator_states, partitions }
        };
        Manifest {
            id,
            kind: one.kind,
            job: self.settings.job.clone(),
            completed_ms: now,
            written_by: super::WRITTEN_BY.into(),
            max_parallelism: self.settings.max_parallelism,
            sources: one.sources.clone(),
            operators: self.settings.operators.iter().enumerate().map(operator).collect(),
            outputs: up_to(&self.prepared, id).cloned().collect(),
            swap: None,
        }
    }

    fn note(&mut self, id: u64, one: &InFlight, manifest: &Manifest, now: i64) {
        if one.target.is_none() {
            return;
        }
        self.progress.completed += 1;
        self.progress.last = Some(Completed {
            id,
            kind: one.kind,
            completed_ms: now,
            duration_ms: now - one.started_ms,
            bytes: manifest.files().map(|file| file.bytes).sum(),
        });
    }

    fn remove_abandoned(&mut self) {
        let abandoned = std::mem::take(&mut self.abandoned);
        let Some(catalog) = &self.catalog else { return };
        if !abandoned.is_empty()
            && let Err(error) = catalog.delete(&abandoned)
        {
            self.warn_of_leftovers(&error);
        }
    }

    fn warn_of_leftovers(&mut self, error: &Error) {
        let message = format!("older checkpoints could not be removed: {}", error.full_text());
        self.actions.push(Action::Warn(message));
    }

    /// Removes what a complete checkpoint makes useless. What cannot be removed does no harm.
    fn forget_older(&mut self, id: u64, one: &InFlight) {
        if one.kind != Kind::Checkpoint {
            return;
        }
        // Its acknowledgements are complete, so those of older ones are in as well.
        let older: Vec<u64> = self.in_flight.range(..id).map(|(&older, _)| older).collect();
        for older in older {
            let subsumed = self.in_flight.remove(&older).expect("it was found just now");
            let error = Error::storage(format!("checkpoint {id} was complete before it"));
            self.given_up.push(older);
            self.answer_failure(&subsumed.purpose, error);
        }
        let (Some(catalog), Some(policy)) = (&self.catalog, &self.settings.policy) else { return };
        // What was uploaded for a later one may still be shared by those under way.
        let (given_up, later) = self.given_up.iter().partition(|given_up| **given_up < id);
        let given_up: Vec<u64> = given_up;
        self.given_up = later;
        // What a swap can be undone from stays.
        let pinned = self.unconfirmed.as_ref().filter(|swap| swap.migrates).map(|swap| swap.since);
        if let Err(error) = catalog.prune(policy.keep as usize, &given_up, pinned) {
            self.warn_of_leftovers(&error);
        }
    }

    /// A checkpoint has failed. The job goes on if that is tolerable.
    fn give_up(&mut self, id: u64, error: Error, now: i64) -> Result<()> {
        let Some(one) = self.in_flight.remove(&id) else { return Ok(()) };
        self.given_up.push(id);
        self.progress.failed += 1;
        self.ended_ms = now;
        let message = format!("checkpoint {id} failed: {}", error.full_text());
        if let Purpose::Swap(plan) = &one.purpose {
            // Its function has changed over, with nothing to come back to: the job goes back.
            let id = &self.settings.operators[plan.operator].id;
            let why = format!("the swap of {id:?} is undone: {message}");
            self.answer_failure(&one.purpose, Error::storage(why.clone()));
            return Err(Error::storage(why));
        }
        let asked = matches!(one.purpose, Purpose::Savepoint(_) | Purpose::Last(Some(_)));
        if self.phase == Phase::Stopping {
            // The job is better off running than stopped with nothing to go on from.
            self.phase = Phase::Running;
            self.actions.push(Action::Resume);
            if self.exhausted.len() == self.settings.sources {
                self.phase = Phase::Ending;
            }
        }
        self.answer_failure(&one.purpose, error);
        if asked {
            return Ok(());
        }
        self.failures += 1;
        let tolerable = self.settings.policy.as_ref().map_or(0, |p| p.tolerable_failures);
        if self.failures > tolerable {
            let hint = "look at the storage; checkpoint.tolerable_failures says how many may fail \
                        in a row";
            return Err(Error::storage(message).hint(hint));
        }
        let interval = self.settings.policy.as_ref().map_or(0, |policy| millis(policy.interval));
        self.next_periodic_ms = now.saturating_add(interval);
        self.actions.push(Action::Warn(message));
        Ok(())
    }

    fn answer_failure(&mut self, purpose: &Purpose, error: Error) {
        let request = match purpose {
            Purpose::Savepoint(request) | Purpose::Last(Some(request)) => *request,
            Purpose::Swap(plan) => plan.request,
            Purpose::Periodic | Purpose::Last(None) => return,
        };
        self.actions.push(Action::Answer(request, Err(error)));
    }
}

/// What is committed with a barrier.
fn up_to(prepared: &[(u64, PreparedOutput)], id: u64) -> impl Iterator<Item = &PreparedOutput> {
    prepared.iter().filter(move |(before, _)| *before <= id).map(|(_, output)| output)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::checkpoint::Part;
    use crate::checkpoint::code::Code;
    use crate::checkpoint::manifest::ConfirmAfter;
    use crate::checkpoint::manifest::{DeclaredFate, DeclaredState};
    use crate::checkpoint::storage::MemoryStorage;
    use crate::model::{Digest, Redistribution, StateKind};

    const SECOND: i64 = 1000;

    /// Checkpoints each second of a job of two tasks, with other numbers as `change` says.
    fn coordinator(change: impl FnOnce(&mut Policy)) -> Coordinator {
        let mut policy = Policy {
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(60),
            min_pause: Duration::ZERO,
            max_concurrent: 1,
            tolerable_failures: 0,
            keep: 1,
        };
        change(&mut policy);
        let settings = CoordinatorSettings {
            job: "job".into(),
            max_parallelism: 128,
            tasks: 2,
            sources: 1,
            operators: Vec::new(),
            policy: Some(policy),
        };
        let catalog = Catalog::new(Arc::new(MemoryStorage::default()));
        Coordinator::new(settings, Some(catalog), Commits::default(), 1, Vec::new(), 0)
    }

    /// The checkpoints that begin at a time.
    fn begun(coordinator: &mut Coordinator, now: i64) -> Vec<u64> {
        coordinator.tick(now).expect("nothing has failed");
        let actions = coordinator.take_actions().into_iter();
        let id = |action| if let Action::Inject { id, .. } = action { Some(id) } else { None };
        actions.filter_map(id).collect()
    }

    fn acknowledge(coordinator: &mut Coordinator, id: u64, now: i64) {
        for task in 0..2 {
            let part = Ok(Part::default());
            let one = Acknowledgement { id, task, outputs: Ok(Vec::new()), part };
            coordinator.acknowledge(one, now).expect("it can be written");
        }
    }

    #[test]
    fn one_at_a_time_unless_more_are_allowed() {
        let mut one = coordinator(|_| {});
        assert_eq!(begun(&mut one, SECOND), [1]);
        assert!(begun(&mut one, 2 * SECOND).is_empty());
        acknowledge(&mut one, 1, 2 * SECOND);
        assert_eq!(begun(&mut one, 2 * SECOND), [2]);
        let mut two = coordinator(|policy| policy.max_concurrent = 2);
        assert_eq!(begun(&mut two, SECOND), [1]);
        assert_eq!(begun(&mut two, 2 * SECOND), [2]);
        assert!(begun(&mut two, 3 * SECOND).is_empty());
        acknowledge(&mut two, 1, 3 * SECOND);
        assert_eq!(begun(&mut two, 3 * SECOND), [3]);
    }

    #[test]
    fn there_is_a_pause_after_one_that_took_long() {
        let mut coordinator = coordinator(|policy| policy.min_pause = Duration::from_millis(500));
        assert_eq!(begun(&mut coordinator, SECOND), [1]);
        acknowledge(&mut coordinator, 1, 1900);
        assert!(begun(&mut coordinator, 2 * SECOND).is_empty());
        assert_eq!(coordinator.next_tick(), Some(2400));
        assert_eq!(begun(&mut coordinator, 2400), [2]);
    }

    #[test]
    fn what_takes_too_long_is_given_up_and_too_many_fail_the_job() {
        let mut coordinator = coordinator(|policy| {
            policy.timeout = Duration::from_millis(300);
            policy.tolerable_failures = 1;
        });
        assert_eq!(begun(&mut coordinator, SECOND), [1]);
        assert_eq!(coordinator.next_tick(), Some(1300));
        assert!(begun(&mut coordinator, 1300).is_empty());
        assert_eq!(coordinator.progress().failed, 1);
        // What comes too late counts no more.
        acknowledge(&mut coordinator, 1, 1400);
        assert_eq!(coordinator.progress().completed, 0);
        assert_eq!(begun(&mut coordinator, 2300), [2]);
        let error = coordinator.tick(2600).expect_err("that is one too many");
        assert!(error.message.contains("2 tasks did not acknowledge it within"), "{error}");
    }

    fn operator(states: &[(&str, DeclaredFate)], of_partition: &[(&str, u32, bool)]) -> OperatorOf {
        let state = |(name, fate): &(&str, DeclaredFate)| DeclaredState {
            name: (*name).into(),
            kind: StateKind::Value,
            stamped: None,
            schema_version: 1,
            type_name: String::new(),
            fate: *fate,
        };
        let operator_state =
            |(name, schema_version, kept): &(&str, u32, bool)| DeclaredOperatorState {
                name: (*name).into(),
                redistribution: Redistribution::EvenSplit,
                schema_version: *schema_version,
                type_name: String::new(),
                kept: *kept,
            };
        let code =
            Code { bytes: Arc::from(&b"code"[..]), sha256: Digest::of(b"code"), stored: None };
        OperatorOf {
            id: "operator".into(),
            code,
            states: states.iter().map(state).collect(),
            operator_states: of_partition.iter().map(operator_state).collect(),
        }
    }

    #[test]
    fn the_checkpoint_of_a_swap_tells_of_the_operator_states_that_it_has() {
        let mut coordinator = coordinator(|_| {});
        let before = operator(&[], &[("a", 1, false), ("b", 1, false)]);
        let after = operator(&[], &[("b", 2, false), ("a", 1, true)]);
        coordinator.settings.operators = vec![before];
        let confirmed_after = Some(ConfirmAfter::Checkpoints(2));
        swap(&mut coordinator, after.clone(), confirmed_after);
        let manifest = newest(&coordinator);
        let found: Vec<(&str, u32, bool)> = manifest.operators[0]
            .operator_states
            .iter()
            .map(|state| (state.name.as_str(), state.schema_version, state.kept))
            .collect();
        assert_eq!(found, [("a", 1, true), ("b", 1, false)]);
        // The next one is of the new function.
        assert_eq!(begun(&mut coordinator, 2 * SECOND), [2]);
        acknowledge(&mut coordinator, 2, 2 * SECOND);
        let manifest = newest(&coordinator);
        assert_eq!(manifest.operators[0].operator_states, after.operator_states);
    }

    #[test]
    fn what_a_swap_keeps_goes_when_it_is_confirmed_also_if_that_is_at_once() {
        for confirmed_after in [None, Some(ConfirmAfter::Checkpoints(1))] {
            let mut coordinator = coordinator(|_| {});
            coordinator.settings.operators =
                vec![operator(&[("a", DeclaredFate::Live)], &[("b", 1, false)])];
            let after = [("a", DeclaredFate::Kept), ("c", DeclaredFate::Live)];
            swap(&mut coordinator, operator(&after, &[("b", 1, true)]), confirmed_after);
            let fates = |coordinator: &Coordinator| -> Vec<DeclaredFate> {
                let states = &coordinator.settings.operators[0].states;
                states.iter().map(|state| state.fate).collect()
            };
            if confirmed_after.is_some() {
                assert_eq!(fates(&coordinator), [DeclaredFate::Kept, DeclaredFate::Live]);
                assert_eq!(coordinator.settings.operators[0].operator_states.len(), 1);
                assert_eq!(begun(&mut coordinator, 2 * SECOND), [2]);
                acknowledge(&mut coordinator, 2, 2 * SECOND);
            }
            assert_eq!(fates(&coordinator), [DeclaredFate::Gone, DeclaredFate::Live]);
            assert!(coordinator.settings.operators[0].operator_states.is_empty());
        }
    }

    /// Swaps the only operator's function at the first checkpoint.
    fn swap(
        coordinator: &mut Coordinator,
        next: OperatorOf,
        confirmed_after: Option<ConfirmAfter>,
    ) {
        let (request, operator, rolls_back, migrates) = (1, 0, true, false);
        let plan = SwapPlan { request, operator, next, rolls_back, migrates, confirmed_after };
        coordinator.swap(plan, SECOND);
        acknowledge(coordinator, 1, SECOND);
        coordinator.take_actions();
    }

    /// The manifest of the last checkpoint.
    fn newest(coordinator: &Coordinator) -> Manifest {
        let catalog = coordinator.catalog.as_ref().expect("checkpoints are taken");
        let mut entries = catalog.entries().expect("memory can be read");
        entries.sort_by_key(|entry| entry.id);
        let newest = entries.pop().expect("there is one");
        newest.located.expect("it was just written").manifest
    }
}
