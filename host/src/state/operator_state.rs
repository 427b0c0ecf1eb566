//! The operator states of one partition: lists and maps that belong to no key.
//!
//! They are on the heap with every backend, as in Flink, and cross to the function whole; see
//! `docs/decisions/0013-operator-state-is-state-of-the-host.md`.

use std::borrow::Cow;

use super::cell::{self, Cell};
use super::entry::{self, Entry, EntryKind};
use crate::model::{Fault, FaultReason, OperatorStateDeclaration, Packed, Redistribution};

/// One operator state, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorForm {
    /// Its name.
    pub name: String,
    /// Which operations it has, and who gets what of it at another parallelism.
    pub redistribution: Redistribution,
    /// The version of its encoding.
    pub schema_version: u32,
    /// For people.
    pub type_name: String,
    /// Whether the function declares it. If not it is kept for the function before, which may come
    /// back.
    pub is_declared: bool,
}

impl From<&OperatorStateDeclaration> for OperatorForm {
    fn from(declared: &OperatorStateDeclaration) -> Self {
        Self {
            name: declared.name.clone(),
            redistribution: declared.redistribution,
            schema_version: declared.schema_version,
            type_name: declared.type_name.clone(),
            is_declared: true,
        }
    }
}

/// The operator states of a function that comes after one with these: the declared ones in their
/// order, then those that only functions before it declared.
pub fn changed_forms(
    before: &[OperatorForm],
    declared: &[OperatorStateDeclaration],
) -> Vec<OperatorForm> {
    let forms = declared.iter().map(OperatorForm::from);
    let is_kept = |form: &&OperatorForm| declared.iter().all(|state| state.name != form.name);
    let kept = before.iter().filter(is_kept);
    let kept = kept.map(|form| OperatorForm { is_declared: false, ..form.clone() });
    forms.chain(kept).collect()
}

/// All operator states of a partition.
#[derive(Debug)]
pub struct OperatorState {
    forms: Vec<OperatorForm>,
    /// By form.
    cells: Vec<Option<Cell>>,
    /// By form, the version that the cell has.
    versions: Vec<u32>,
    /// Whether calls have made it what it is, in this run or in those that it goes on from.
    has_begun: bool,
    /// Whether the instance holds it as it is.
    is_known: bool,
    /// Whether another instance gets the same calls, which must see it whole each time.
    is_shared: bool,
}

/// One declared operator state for a call, as the contract's `operator-state`.
#[derive(Debug, Clone)]
pub enum OperatorStateColumn<'a> {
    /// No call has been applied yet.
    NotBegun,
    /// All of it.
    Whole(Cow<'a, [u8]>),
    /// What the last call on this instance left: its effects have been applied.
    AsLeft,
}

/// What one partition left of one operator state: encoded as the state of a key, nothing if it was
/// empty.
pub type OperatorCell = Vec<u8>;

impl OperatorState {
    /// Without anything yet.
    pub fn new(declared: &[OperatorStateDeclaration]) -> Self {
        let forms: Vec<OperatorForm> = declared.iter().map(OperatorForm::from).collect();
        Self {
            cells: forms.iter().map(|_| None).collect(),
            versions: forms.iter().map(|form| form.schema_version).collect(),
            forms,
            has_begun: false,
            is_known: false,
            is_shared: false,
        }
    }

    /// With what redistribution gave this partition: one cell for each form, of the version that it
    /// has.
    pub fn restored(forms: Vec<OperatorForm>, cells: Vec<(OperatorCell, u32)>) -> Self {
        let whole = |(form, (bytes, _)): (&OperatorForm, &(OperatorCell, u32))| {
            (!bytes.is_empty()).then(|| Cell::of(form.redistribution.kind(), bytes))
        };
        Self {
            cells: forms.iter().zip(&cells).map(whole).collect(),
            versions: cells.iter().map(|(_, version)| *version).collect(),
            forms,
            has_begun: true,
            is_known: false,
            is_shared: false,
        }
    }

    /// Changes the states to those of another function, between two calls. What it does not declare
    /// is kept.
    pub fn change(&mut self, declared: &[OperatorStateDeclaration]) {
        let forms = changed_forms(&self.forms, declared);
        let before: Vec<_> = std::mem::take(&mut self.forms);
        let had = |form: &OperatorForm| before.iter().position(|had| had.name == form.name);
        let places: Vec<Option<usize>> = forms.iter().map(had).collect();
        self.versions = places
            .iter()
            .zip(&forms)
            .map(|(place, form)| place.map_or(form.schema_version, |place| self.versions[place]))
            .collect();
        self.cells = places.iter().map(|place| self.cells[(*place)?].take()).collect();
        self.forms = forms;
        self.is_known = false;
    }

    /// Forgets what was kept for the function before.
    pub fn release_kept(&mut self) {
        let declared = self.declared();
        self.forms.truncate(declared);
        self.cells.truncate(declared);
        self.versions.truncate(declared);
    }

    /// How many the function declares.
    fn declared(&self) -> usize {
        self.forms.iter().take_while(|form| form.is_declared).count()
    }

    /// The first state whose cell has an older version than its function wants: its index, that
    /// version, and what it holds. A state without anything has every version.
    pub fn to_migrate(&mut self) -> Option<(usize, u32, Vec<u8>)> {
        for index in 0..self.declared() {
            match &self.cells[index] {
                None => self.versions[index] = self.forms[index].schema_version,
                Some(cell) if self.versions[index] < self.forms[index].schema_version => {
                    return Some((index, self.versions[index], cell.encoded().into_owned()));
                }
                Some(_) => {}
            }
        }
        None
    }

    /// Takes over what a state holds one version later; nothing if nothing is left.
    pub fn put_migrated(&mut self, index: usize, cell: Option<&[u8]>) {
        let kind = self.forms[index].redistribution.kind();
        self.cells[index] = cell.map(|cell| Cell::of(kind, cell));
        self.versions[index] += 1;
    }

    /// The name of a state.
    pub fn name(&self, index: usize) -> &str {
        &self.forms[index].name
    }

    /// All of it for a call, after which the instance holds what it has made of it, whether that
    /// is applied or not.
    pub fn for_call(&mut self) -> Vec<OperatorStateColumn<'_>> {
        let is_known = std::mem::replace(&mut self.is_known, false) && !self.is_shared;
        let column = |state| match (is_known, self.has_begun) {
            (true, _) => OperatorStateColumn::AsLeft,
            (false, true) => OperatorStateColumn::Whole(self.get(state)),
            (false, false) => OperatorStateColumn::NotBegun,
        };
        (0..self.declared()).map(column).collect()
    }

    /// Says whether another instance gets the same calls, which must see it whole each time.
    pub fn set_shared(&mut self, is_shared: bool) {
        self.is_shared = is_shared;
    }

    /// Whether calls have made it what it is.
    pub fn has_begun(&self) -> bool {
        self.has_begun
    }

    /// What a state holds, encoded as the state of a key.
    pub fn get(&self, state: usize) -> Cow<'_, [u8]> {
        self.cells[state].as_ref().map_or(Cow::Borrowed(&[]), Cell::encoded)
    }

    /// Whether all states together fit the function's memory, in which they live, after changes.
    ///
    /// # Errors
    /// A fault if they do not.
    pub fn check_limit<'a>(
        &self,
        entries: impl Iterator<Item = &'a Packed>,
        memory_bytes: usize,
    ) -> Result<(), Fault> {
        let mut entries = entries.peekable();
        if entries.peek().is_none() {
            return Ok(());
        }
        let bytes = self.bytes_after(entries);
        if bytes <= memory_bytes {
            return Ok(());
        }
        let message = format!(
            "operator state would have {bytes} bytes, more than the limit memory of \
             {memory_bytes}, which it must fit into"
        );
        Err(Fault::new(FaultReason::Limit, message))
    }

    /// How many bytes all states would have at most after changes to some of them.
    fn bytes_after<'a>(&self, entries: impl Iterator<Item = &'a Packed>) -> usize {
        let before: usize = self.cells.iter().flatten().map(|cell| cell.len()).sum();
        // Each entry comes with at most eight bytes of lengths.
        entries.map(|one| one.bytes.len() + 8 * one.len()).sum::<usize>() + before
    }

    /// Applies what a call did, which may be nothing: changes to a state each, as its index, the
    /// operations and the entries.
    pub fn apply<'a>(&mut self, changes: impl Iterator<Item = (usize, &'a [u8], &'a Packed)>) {
        for (state, operations, entries) in changes {
            let kind = self.forms[state].redistribution.kind();
            let cell = &mut self.cells[state];
            for (&operation, entry) in operations.iter().zip(entries.iter()) {
                cell::apply(cell, kind, operation, entry);
            }
        }
        self.has_begun = true;
        self.is_known = true;
    }

    /// All of it as entries of a checkpoint, also states that are empty; none if no call has made
    /// it anything.
    pub fn snapshot(&self) -> Option<Vec<u8>> {
        if !self.has_begun || self.forms.is_empty() {
            return None;
        }
        let mut bytes = Vec::new();
        for (index, _) in (0..).zip(&self.forms) {
            let value = &*self.get(usize::from(index));
            entry::push(&mut bytes, Entry { kind: EntryKind::State(index), key: b"", value });
        }
        Some(bytes)
    }
}

/// What partition `partition` of `parallelism` gets of one state that the partitions of before
/// left, in their order.
///
/// With as many partitions as before, each its own. Otherwise as Flink's
/// `RoundRobinOperatorStateRepartitioner`: the elements of an even-split list are collected and
/// dealt out one by one in turn, all of a union list go to each, and of a broadcast map each gets a
/// copy.
pub fn redistribute(
    redistribution: Redistribution,
    before: &[OperatorCell],
    partition: usize,
    parallelism: usize,
) -> OperatorCell {
    if redistribution != Redistribution::Union && before.len() == parallelism {
        return before[partition].clone();
    }
    match redistribution {
        Redistribution::Broadcast => before[partition % before.len()].clone(),
        Redistribution::Union => before.concat(),
        Redistribution::EvenSplit => {
            let elements = before
                .iter()
                .flat_map(|list| cell::strings(list, 1).map(|(range, _)| &list[range]));
            let own = elements.skip(partition).step_by(parallelism);
            own.fold(Vec::new(), |mut list, element| {
                list.extend_from_slice(element);
                list
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn list(elements: &[u8]) -> OperatorCell {
        let mut cell = Vec::new();
        elements.iter().for_each(|&element| cell::append(&mut cell, &[element]));
        cell
    }

    fn elements(list: &OperatorCell) -> Vec<u8> {
        cell::strings(list, 1).map(|(_, element)| element[0]).collect()
    }

    proptest! {
        /// Against the document: collect all, then deal out, or give all to each, or copy.
        #[test]
        fn redistributes_as_a_plain_model_does(
            before in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..9), 1..6),
            after in 1_usize..6,
        ) {
            let lists: Vec<OperatorCell> = before.iter().map(|one| list(one)).collect();
            let all: Vec<u8> = before.concat();
            let mut dealt = vec![Vec::new(); after];
            if before.len() == after {
                dealt.clone_from(&before);
            } else {
                for (index, element) in all.iter().enumerate() {
                    dealt[index % after].push(*element);
                }
            }
            for (partition, dealt) in dealt.iter().enumerate() {
                let get = |how| redistribute(how, &lists, partition, after);
                prop_assert_eq!(&elements(&get(Redistribution::EvenSplit)), dealt);
                prop_assert_eq!(&elements(&get(Redistribution::Union)), &all);
                let copy = get(Redistribution::Broadcast);
                prop_assert!(lists.contains(&copy));
            }
        }
    }

    #[test]
    fn says_nothing_before_the_first_call() {
        let declared = [OperatorStateDeclaration {
            name: "rules".into(),
            redistribution: Redistribution::Broadcast,
            schema_version: 1,
            type_name: String::new(),
        }];
        let mut state = OperatorState::new(&declared);
        assert_eq!(state.snapshot(), None);
        state.apply(std::iter::empty());
        let entries = state.snapshot().expect("it has begun");
        let read: Vec<_> = entry::read(&entries).map(|one| one.expect("whole").value).collect();
        assert_eq!(read, [b""]);
    }
}
