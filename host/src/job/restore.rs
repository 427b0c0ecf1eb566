//! From a manifest to what each task of a plan begins with: by id, by name of state, by key group.

use std::collections::BTreeMap;
use std::ops::Range;

use super::plan::{OperatorPlan, Plan};
use crate::checkpoint::catalog::Located;
use crate::checkpoint::manifest::{
    self, DeclaredFate, Manifest, PartitionSnapshot, SourceState, UnconfirmedSwap,
};
use crate::checkpoint::{forms, reading};
use crate::error::{Error, Result};
use crate::model::{KeyGroup, TIME_NONE};
use crate::state::{
    Fate, Layout, OperatorCell, OperatorForm, OperatorState, Stamps, changed_forms, redistribute,
};

/// What to do about state that no function declares any more.
const UNDECLARED_HINT: &str =
    "nothing is restored in part: give the operator a function that declares it";

/// A manifest that fits the plan.
pub(super) struct Restored<'a> {
    pub(super) located: &'a Located,
    sources: BTreeMap<&'a str, &'a SourceState>,
    /// By id.
    operators: BTreeMap<&'a str, RestoredOperator<'a>>,
}

/// What an operator goes on from.
struct RestoredOperator<'a> {
    manifest: &'a manifest::OperatorState,
    layout: Layout,
    /// Whether all state is where the function wants it.
    is_settled: bool,
    operator_forms: Vec<OperatorForm>,
    /// For each partition of before, its operator states by form with their versions; none if no
    /// partition had any.
    operator_cells: Option<Vec<Vec<(OperatorCell, u32)>>>,
}

/// What one partition of an operator begins with.
pub(super) struct PartitionStart<'a> {
    /// Which snapshots overlap with its key groups.
    pub(super) snapshots: Vec<&'a PartitionSnapshot>,
    /// Its columns, those of the snapshots first.
    pub(super) layout: Layout,
    /// Whether all state is where the function wants it.
    pub(super) is_settled: bool,
    /// The least watermark that was in force.
    pub(super) watermark: i64,
}

impl<'a> Restored<'a> {
    /// Holds a manifest against the plan, which has the functions that go on from it. `swap` can
    /// still be undone; `undone` is the id of an operator whose function gives way to the one
    /// before. `now` is the host's clock.
    ///
    /// # Errors
    /// If it belongs to another job, or has what the job has no place for.
    pub(super) fn new(
        located: &'a Located,
        plan: &Plan,
        swap: Option<&UnconfirmedSwap>,
        undone: Option<&str>,
        now: i64,
    ) -> Result<Self> {
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
        let mut operators = BTreeMap::new();
        for operator in &manifest.operators {
            let id = operator.id.as_str();
            match plan.operators.iter().find(|plan| plan.id == id) {
                Some(plan) => {
                    let swap = swap.filter(|swap| swap.operator == id);
                    let undeclared = match (undone == Some(id), swap) {
                        (true, _) => Undeclared::Removed,
                        (false, Some(_)) => Undeclared::Kept,
                        (false, None) => Undeclared::Refused,
                    };
                    operators
                        .insert(id, restored_operator(located, operator, plan, undeclared, now)?);
                }
                None if operator.states.is_empty() && operator.operator_states.is_empty() => {}
                None => return Err(lacks(manifest, "state of an operator", id)),
            }
        }
        Ok(Self {
            located,
            sources: manifest.sources.iter().map(|one| (one.id.as_str(), one)).collect(),
            operators,
        })
    }

    /// The columns of an operator's partitions; none if the operator is new.
    pub(super) fn layout(&self, id: &str) -> Option<&Layout> {
        self.operators.get(id).map(|operator| &operator.layout)
    }

    /// The operator states of an operator; none if the operator is new.
    pub(super) fn operator_forms(&self, id: &str) -> Option<&[OperatorForm]> {
        self.operators.get(id).map(|operator| &*operator.operator_forms)
    }

    /// The operator states that a partition begins with.
    pub(super) fn operator_state(&self, plan: &OperatorPlan, partition: u32) -> OperatorState {
        let operator = self.operators.get(plan.id.as_str());
        let restored = operator.and_then(|one| one.operator_cells.as_ref().zip(Some(one)));
        let Some((before, operator)) = restored else {
            return OperatorState::new(&plan.component.declaration().operator_states);
        };
        let cell = |(index, form): (usize, &OperatorForm)| {
            let cells: Vec<OperatorCell> =
                before.iter().map(|partition| partition[index].0.clone()).collect();
            let version = before.first().map_or(form.schema_version, |first| first[index].1);
            let (partition, parallelism) = (partition as usize, plan.parallelism as usize);
            (redistribute(form.redistribution, &cells, partition, parallelism), version)
        };
        let cells = operator.operator_forms.iter().enumerate().map(cell).collect();
        OperatorState::restored(operator.operator_forms.clone(), cells)
    }

    /// Where a source goes on; none if it is new.
    pub(super) fn source(&self, id: &str) -> Option<&'a SourceState> {
        self.sources.get(id).copied()
    }

    /// What a partition begins with; none if the operator is new.
    pub(super) fn partition(&self, id: &str, groups: &Range<u32>) -> Option<PartitionStart<'a>> {
        let operator = self.operators.get(id)?;
        let overlaps =
            |one: &&PartitionSnapshot| one.first_group < groups.end && groups.start < one.end_group;
        Some(PartitionStart {
            snapshots: operator.manifest.partitions.iter().filter(overlaps).collect(),
            layout: operator.layout.clone(),
            is_settled: operator.is_settled,
            watermark: watermark_of(operator.manifest),
        })
    }
}

/// What becomes of state that the function does not declare.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Undeclared {
    /// It is an error, unless it was undeclared before.
    Refused,
    /// It waits for the function before, which may come back.
    Kept,
    /// It goes: it is of a function that gives way to the one before.
    Removed,
}

fn restored_operator<'a>(
    located: &Located,
    operator: &'a manifest::OperatorState,
    plan: &OperatorPlan,
    undeclared: Undeclared,
    now: i64,
) -> Result<RestoredOperator<'a>> {
    check_states(operator, plan, undeclared)?;
    let stamps = Stamps { watermark: watermark_of(operator), processing: now };
    let fate = if undeclared == Undeclared::Kept { Fate::Kept } else { Fate::Gone };
    let declared = &plan.component.declaration().states;
    let layout = forms::layout_of(&operator.states).changed(declared, &plan.ttl, fate, stamps);
    let after = forms::declared_states(&layout);
    let is_same = after.iter().zip(&operator.states).all(|(is, was)| is.fate == was.fate);
    // A store may still hold what entries leave out.
    let may_hold = operator.partitions.iter().any(|partition| partition.tables.is_some())
        && layout.columns.iter().any(|column| column.fate == Fate::Gone);
    let is_unsettled = operator.partitions.iter().any(|partition| partition.unsettled);
    let (operator_forms, operator_cells) =
        restored_operator_states(located, operator, plan, undeclared)?;
    Ok(RestoredOperator {
        manifest: operator,
        layout,
        is_settled: is_same && !may_hold && !is_unsettled,
        operator_forms,
        operator_cells,
    })
}

type OperatorStates = (Vec<OperatorForm>, Option<Vec<Vec<(OperatorCell, u32)>>>);

/// Reads the operator states of all partitions of before.
fn restored_operator_states(
    located: &Located,
    operator: &manifest::OperatorState,
    plan: &OperatorPlan,
    undeclared: Undeclared,
) -> Result<OperatorStates> {
    let declared = &plan.component.declaration().operator_states;
    let before = forms::operator_forms_of(&operator.operator_states);
    let mut operator_forms = changed_forms(&before, declared);
    if undeclared != Undeclared::Kept {
        operator_forms.retain(|form| form.is_declared);
    }
    if operator.partitions.iter().all(|partition| partition.operator_entries.is_none()) {
        return Ok((operator_forms, None));
    }
    let read = |partition| {
        let found = reading::operator_cells(&*located.storage, partition)?.unwrap_or_default();
        let cell = |form: &OperatorForm| {
            let had = before.iter().position(|had| had.name == form.name);
            let cell = had.and_then(|had| found.get(had).zip(before.get(had)));
            cell.map_or_else(
                || (OperatorCell::new(), form.schema_version),
                |(cell, had)| (cell.clone(), had.schema_version),
            )
        };
        Ok(operator_forms.iter().map(cell).collect())
    };
    let cells = operator.partitions.iter().map(read).collect::<Result<_>>()?;
    Ok((operator_forms, Some(cells)))
}

/// Whether the function has a place for every state that there is.
fn check_states(
    operator: &manifest::OperatorState,
    plan: &OperatorPlan,
    undeclared: Undeclared,
) -> Result<()> {
    let declaration = plan.component.declaration();
    let id = &plan.id;
    let is_unsettled = operator.partitions.iter().any(|partition| partition.unsettled);
    for had in &operator.states {
        let name = &had.name;
        match declaration.states.iter().find(|state| state.name == *name) {
            None if undeclared == Undeclared::Refused && had.fate == DeclaredFate::Live => {
                let message = format!(
                    "operator {id:?} had a state {name:?}, which its function does not declare"
                );
                return Err(Error::input(message).hint(UNDECLARED_HINT));
            }
            Some(has) if has.kind != had.kind && had.fate != DeclaredFate::Gone => {
                let [was, is] = [had.kind, has.kind].map(|kind| format!("{kind:?}").to_lowercase());
                return Err(other_kind(
                    "state",
                    id,
                    name,
                    &format!("of kind {was}"),
                    &format!("with kind {is}"),
                ));
            }
            // A newer version is of the function that gives way, at whose barrier nothing has it.
            Some(has)
                if undeclared == Undeclared::Removed && had.schema_version > has.schema_version => {
            }
            // All of it has arrived where it moved to, whose version is looked at too.
            Some(_) if had.fate == DeclaredFate::Moves && !is_unsettled => {}
            Some(has) if had.fate != DeclaredFate::Gone => {
                check_version(plan, name, had.schema_version, has.schema_version)?;
            }
            _ => {}
        }
    }
    for had in &operator.operator_states {
        let name = &had.name;
        match declaration.operator_states.iter().find(|state| state.name == *name) {
            None if undeclared == Undeclared::Refused && !had.kept => {
                let message = format!(
                    "operator {id:?} had an operator state {name:?}, which its function does not \
                     declare"
                );
                return Err(Error::input(message).hint(UNDECLARED_HINT));
            }
            Some(has) if has.redistribution != had.redistribution => {
                let [was, is] = [had.redistribution, has.redistribution].map(|how| how.name());
                return Err(other_kind(
                    "operator state",
                    id,
                    name,
                    &format!("a {was}"),
                    &format!("as a {is}"),
                ));
            }
            Some(has) => check_version(plan, name, had.schema_version, has.schema_version)?,
            None => {}
        }
    }
    Ok(())
}

fn other_kind(what: &str, id: &str, name: &str, was: &str, is: &str) -> Error {
    let message =
        format!("{what} {name:?} of operator {id:?} was {was}, its function declares it {is}");
    Error::input(message)
        .hint("restore with the function that it had; a state of another kind needs another name")
}

/// Whether the function can take a state from the version that it has to the one that it declares.
fn check_version(plan: &OperatorPlan, name: &str, had: u32, has: u32) -> Result<()> {
    let steps = plan.component.migrations();
    let lacks = |version: &u32| {
        !steps.iter().any(|step| step.state == name && step.from_version == *version)
    };
    let id = &plan.id;
    if had > has {
        let message = format!(
            "state {name:?} of operator {id:?} has schema version {had}, its function declares \
             {has}"
        );
        return Err(Error::input(message).hint("restore with the function that wrote it"));
    }
    match (had..has).find(lacks) {
        None => Ok(()),
        Some(version) => {
            let message = format!(
                "state {name:?} of operator {id:?} has schema version {had}, its function declares \
                 {has} and has no migration from {version}"
            );
            Err(Error::input(message)
                .hint("add the migration, or restore with the function it had"))
        }
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
