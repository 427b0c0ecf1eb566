//! From a manifest to what each task of a plan begins with: by id, by name of state, by key group.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::{OperatorPlan, Plan};
use crate::checkpoint::catalog::Located;
use crate::checkpoint::manifest::{self, Manifest, PartitionSnapshot, SourceState};
use crate::checkpoint::reading;
use crate::error::{Error, Result};
use crate::model::{KeyGroup, OperatorStateDeclaration, TIME_NONE, TimeDomain};
use crate::state::{OperatorCell, OperatorState, Restamp, redistribute};

/// What to do about state that no function declares any more.
const UNDECLARED_HINT: &str =
    "nothing is restored in part: give the operator a function that declares it";

/// By index in the manifest, the index of a state in the function's declaration, and what becomes
/// of its access times.
type StatesOf = Vec<(usize, Restamp)>;

/// A manifest that fits the plan.
pub(super) struct Restored<'a> {
    pub(super) located: &'a Located,
    sources: BTreeMap<&'a str, &'a SourceState>,
    /// By id; and by index of a state in the manifest, its index in the function's declaration.
    operators: BTreeMap<&'a str, (&'a manifest::OperatorState, StatesOf)>,
    /// By id: for each partition of before, its operator states in the order of the function's
    /// declaration. Only of operators of which a partition had any.
    operator_cells: BTreeMap<&'a str, Vec<Vec<OperatorCell>>>,
}

/// What one partition of an operator begins with.
pub(super) struct PartitionStart<'a> {
    /// Which snapshots overlap with its key groups.
    pub(super) snapshots: Vec<&'a PartitionSnapshot>,
    /// Which states of the manifest are which.
    pub(super) state_of: StatesOf,
    /// The least watermark that was in force.
    pub(super) watermark: i64,
}

impl<'a> Restored<'a> {
    /// Holds a manifest against the plan. `now` is the host's clock.
    ///
    /// # Errors
    /// If it belongs to another job, or has what the job has no place for.
    pub(super) fn new(located: &'a Located, plan: &Plan, now: i64) -> Result<Self> {
        let manifest: &Manifest = &located.manifest;
        manifest.check_job(&plan.name)?;
        if manifest.max_parallelism != plan.max_parallelism {
            let message = format!(
                "the job has {} key groups, but {} {} was taken with {}",
                plan.max_parallelism,
                manifest.kind.word(),
                manifest.id,
                manifest.max_parallelism
            );
            let hint = format!(
                "set job.max_parallelism to {}: it cannot change in the life of a job",
                manifest.max_parallelism
            );
            return Err(Error::input(message).hint(hint));
        }
        for source in &manifest.sources {
            if plan.sources.iter().all(|plan| plan.id != source.id) {
                return Err(lacks(manifest, "the position of a source", &source.id));
            }
        }
        let (mut operators, mut operator_cells) = (BTreeMap::new(), BTreeMap::new());
        for operator in &manifest.operators {
            match plan.operators.iter().find(|plan| plan.id == operator.id) {
                Some(plan) => {
                    let state_of = states_of(operator, plan, now)?;
                    operators.insert(operator.id.as_str(), (operator, state_of));
                    if let Some(cells) = read_operator_cells(located, operator, plan)? {
                        operator_cells.insert(operator.id.as_str(), cells);
                    }
                }
                None if operator.states.is_empty() && operator.operator_states.is_empty() => {}
                None => return Err(lacks(manifest, "state of an operator", &operator.id)),
            }
        }
        Ok(Self {
            located,
            sources: manifest.sources.iter().map(|one| (one.id.as_str(), one)).collect(),
            operators,
            operator_cells,
        })
    }

    /// The operator states that a partition begins with.
    pub(super) fn operator_state(&self, plan: &OperatorPlan, partition: u32) -> OperatorState {
        let declared = &plan.component.declaration().operator_states;
        let Some(before) = self.operator_cells.get(plan.id.as_str()) else {
            return OperatorState::new(declared);
        };
        let cell = |(index, state): (usize, &OperatorStateDeclaration)| {
            let cells: Vec<OperatorCell> =
                before.iter().map(|partition| partition[index].clone()).collect();
            let (partition, parallelism) = (partition as usize, plan.parallelism as usize);
            redistribute(state.redistribution, &cells, partition, parallelism)
        };
        let cells = declared.iter().enumerate().map(cell).collect();
        OperatorState::restored(declared, cells)
    }

    /// Where a source goes on; none if it is new.
    pub(super) fn source(&self, id: &str) -> Option<&'a SourceState> {
        self.sources.get(id).copied()
    }

    /// What a partition begins with; none if the operator is new.
    pub(super) fn partition(&self, id: &str, groups: &Range<u32>) -> Option<PartitionStart<'a>> {
        let (operator, state_of) = self.operators.get(id)?;
        let overlaps =
            |one: &&PartitionSnapshot| one.first_group < groups.end && groups.start < one.end_group;
        Some(PartitionStart {
            snapshots: operator.partitions.iter().filter(overlaps).collect(),
            state_of: state_of.clone(),
            watermark: watermark_of(operator),
        })
    }
}

/// Reads the operator states of all partitions of before; none if no partition had any.
fn read_operator_cells(
    located: &Located,
    operator: &manifest::OperatorState,
    plan: &OperatorPlan,
) -> Result<Option<Vec<Vec<OperatorCell>>>> {
    let declared = &plan.component.declaration().operator_states;
    let mut place_of = Vec::new();
    for had in &operator.operator_states {
        let (id, name) = (&plan.id, &had.name);
        let Some(index) = declared.iter().position(|state| state.name == *name) else {
            let message = format!(
                "operator {id:?} had an operator state {name:?}, which its function does not \
                 declare"
            );
            return Err(Error::input(message).hint(UNDECLARED_HINT));
        };
        let is = declared[index].redistribution;
        if is != had.redistribution {
            let message = format!(
                "operator state {name:?} of operator {id:?} was a {}, its function declares it as \
                 a {}",
                had.redistribution.name(),
                is.name()
            );
            return Err(Error::input(message).hint(
                "restore with the function that it had; a state of another kind needs another name",
            ));
        }
        place_of.push(index);
    }
    if operator.partitions.iter().all(|partition| partition.operator_entries.is_none()) {
        return Ok(None);
    }
    let read = |partition| {
        let mut cells = vec![OperatorCell::new(); declared.len()];
        let found = reading::operator_cells(&*located.storage, partition)?.unwrap_or_default();
        for (cell, index) in found.into_iter().zip(&place_of) {
            cells[*index] = cell;
        }
        Ok(cells)
    };
    operator.partitions.iter().map(read).collect::<Result<_>>().map(Some)
}

/// Finds each state of the manifest among those that the function declares.
fn states_of(
    operator: &manifest::OperatorState,
    plan: &OperatorPlan,
    now: i64,
) -> Result<StatesOf> {
    let declared = &plan.component.declaration().states;
    let find = |had: &crate::checkpoint::manifest::DeclaredState| {
        let (id, name) = (&plan.id, &had.name);
        let Some(index) = declared.iter().position(|state| state.name == *name) else {
            let message = format!(
                "operator {id:?} had a state {name:?}, which its function does not declare"
            );
            return Err(Error::input(message).hint(UNDECLARED_HINT));
        };
        let kind = declared[index].kind;
        if kind != had.kind {
            let [was, is] = [had.kind, kind].map(|kind| format!("{kind:?}").to_lowercase());
            let message = format!(
                "state {name:?} of operator {id:?} was of kind {was}, its function declares it \
                 with kind {is}"
            );
            return Err(Error::input(message).hint(
                "restore with the function that it had; a state of another kind needs another name",
            ));
        }
        Ok((index, restamp(had.stamped, plan.ttl[index].map(|ttl| ttl.domain), operator, now)))
    };
    operator.states.iter().map(find).collect()
}

/// What becomes of access times of one clock in a state with another, or of none. State that gets a
/// time to live counts as accessed just now.
fn restamp(
    had: Option<TimeDomain>,
    has: Option<TimeDomain>,
    operator: &manifest::OperatorState,
    now: i64,
) -> Restamp {
    let stamp = |domain| match domain {
        TimeDomain::Processing => now,
        TimeDomain::Event => watermark_of(operator),
    };
    match (had, has) {
        (None, None) => Restamp::Keep,
        (Some(had), Some(has)) if had == has => Restamp::Keep,
        (Some(_), Some(has)) => Restamp::Replace(stamp(has)),
        (None, Some(has)) => Restamp::Add(stamp(has)),
        (Some(_), None) => Restamp::Remove,
    }
}

/// The least watermark that was in force in an operator's partitions.
fn watermark_of(operator: &manifest::OperatorState) -> i64 {
    let watermarks = operator.partitions.iter().map(|one| one.watermark.unwrap_or(TIME_NONE));
    watermarks.min().unwrap_or(TIME_NONE)
}

fn lacks(manifest: &Manifest, what: &str, id: &str) -> Error {
    let message = format!(
        "{} {} holds {what} {id:?}, which the job lacks",
        manifest.kind.word(),
        manifest.id
    );
    Error::input(message).hint("nothing is restored in part: put the id back into the job file")
}

/// The key groups of a partition.
pub(super) fn groups_of(partition: u32, parallelism: u32, max_parallelism: u32) -> Range<u32> {
    let owner = |group: &u32| KeyGroup(*group).partition(parallelism, max_parallelism).0;
    let mut groups = (0..max_parallelism).skip_while(|group| owner(group) < partition);
    let first = groups.next().unwrap_or(max_parallelism);
    let end = (first..max_parallelism).find(|group| owner(group) > partition);
    first..end.unwrap_or(max_parallelism)
}
