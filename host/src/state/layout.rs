//! Which columns of cells a partition has, and what becomes of those that its function does not
//! declare, or declares otherwise.
//!
//! A column holds one state in one form: of one name, kind and schema version, with access times of
//! one clock or without. It keeps its index as long as the job lives, since checkpoints and stores
//! name cells by it. A function that wants a state in another form gets a new column, and the cells
//! of the old one move there key by key, at the first access or in the background:
//!
//! ```text
//! before   0 count v1  live                       declared: count v1
//! swap     0 count v1  moves to 1                 declared: count v2
//!          1 count v2  live
//! later    0 count v1  gone (empty)
//! ```

use super::Restamp;
use crate::model::{Declaration, StateDeclaration, StateKind, TimeDomain, Ttl};

/// One column of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateForm {
    /// The state's name.
    pub name: String,
    /// Its kind.
    pub kind: StateKind,
    /// The version of its encoding.
    pub schema_version: u32,
    /// For people.
    pub type_name: String,
    /// The clock of the access times before its values, if it has any.
    pub stamped: Option<TimeDomain>,
    /// How long it lives without an access, while a function declares it.
    pub ttl: Option<Ttl>,
    /// What becomes of its cells.
    pub fate: Fate,
}

/// What becomes of the cells of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The function declares it.
    Live,
    /// They move to another column.
    Moves(Move),
    /// The function does not declare the state any more. They stay for now: the function before it
    /// may come back.
    Kept,
    /// They are removed.
    Gone,
}

/// How cells move to the column that the function wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// Index of that column.
    pub to: usize,
    /// What becomes of access times; done first.
    pub restamp: Restamp,
    /// The schema versions that they have and get.
    pub from_version: u32,
    /// The version of the column that they move to, never lower.
    pub to_version: u32,
}

/// The columns of a partition, in the order of their indices, and which of them the declared states
/// are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// All columns.
    pub columns: Vec<StateForm>,
    /// For each declared state, the index of its column.
    pub live: Vec<usize>,
}

/// What the clocks say where cells get access times that had none.
#[derive(Debug, Clone, Copy)]
pub struct Stamps {
    /// The watermark in force.
    pub watermark: i64,
    /// The host's clock.
    pub processing: i64,
}

impl Layout {
    /// The columns of a function that begins: one for each declared state.
    pub fn new(declared: &[StateDeclaration], ttl: &[Option<Ttl>]) -> Self {
        let stamps = Stamps { watermark: 0, processing: 0 };
        Self::default().changed(declared, ttl, Fate::Gone, stamps)
    }

    /// The columns of a function that begins, with the times to live that it declares.
    pub fn of(declaration: &Declaration) -> Self {
        let ttl: Vec<Option<Ttl>> = declaration.states.iter().map(|state| state.ttl).collect();
        Self::new(&declaration.states, &ttl)
    }

    /// The columns once a function is there that declares these states with these times to live.
    /// Cells of states that it does not declare are `undeclared`: kept or gone. Whether it can take
    /// state from one schema version to the next has been found before.
    #[must_use]
    pub fn changed(
        &self,
        declared: &[StateDeclaration],
        ttl: &[Option<Ttl>],
        undeclared: Fate,
        stamps: Stamps,
    ) -> Self {
        let mut columns = self.columns.clone();
        let mut live = Vec::new();
        for (state, ttl) in declared.iter().zip(ttl) {
            let wanted = StateForm {
                name: state.name.clone(),
                kind: state.kind,
                schema_version: state.schema_version,
                type_name: state.type_name.clone(),
                stamped: ttl.map(|ttl| ttl.domain),
                ttl: *ttl,
                fate: Fate::Live,
            };
            // A column that is gone may still have cells that are being removed.
            let same = columns
                .iter()
                .position(|column| column.fate != Fate::Gone && column.is_form_of(&wanted));
            match same {
                Some(index) => {
                    columns[index] = wanted;
                    live.push(index);
                }
                None => {
                    live.push(columns.len());
                    columns.push(wanted);
                }
            }
        }
        for index in (0..columns.len()).filter(|index| !live.contains(index)) {
            let column = &columns[index];
            if column.fate == Fate::Gone {
                continue;
            }
            let target = live
                .iter()
                .copied()
                .find(|&to| columns[to].name == column.name && columns[to].kind == column.kind);
            columns[index].fate = match target {
                // Of a swap that is undone at its barrier: nothing has moved there yet.
                Some(to) if column.schema_version > columns[to].schema_version => Fate::Gone,
                Some(to) => Fate::Moves(Move {
                    to,
                    restamp: restamp(column.stamped, columns[to].stamped, stamps),
                    from_version: column.schema_version,
                    to_version: columns[to].schema_version,
                }),
                None => undeclared,
            };
        }
        Self { columns, live }
    }

    /// Removes what was kept: the function before will not come back.
    pub fn release(&mut self) {
        for column in self.columns.iter_mut().filter(|column| column.fate == Fate::Kept) {
            column.fate = Fate::Gone;
        }
    }

    /// Whether cells of some column move to another.
    pub fn moves(&self) -> bool {
        self.columns.iter().any(|column| matches!(column.fate, Fate::Moves(_)))
    }
}

impl StateForm {
    /// Whether cells of one are cells of the other.
    fn is_form_of(&self, other: &Self) -> bool {
        self.name == other.name
            && self.kind == other.kind
            && self.schema_version == other.schema_version
            && self.stamped == other.stamped
    }
}

/// What becomes of access times of one clock in a state with another, or of none. State that gets a
/// time to live counts as accessed just now.
fn restamp(had: Option<TimeDomain>, has: Option<TimeDomain>, stamps: Stamps) -> Restamp {
    let stamp = |domain| match domain {
        TimeDomain::Processing => stamps.processing,
        TimeDomain::Event => stamps.watermark,
    };
    match (had, has) {
        (None, None) => Restamp::Keep,
        (Some(had), Some(has)) if had == has => Restamp::Keep,
        (Some(_), Some(has)) => Restamp::Replace(stamp(has)),
        (None, Some(has)) => Restamp::Add(stamp(has)),
        (Some(_), None) => Restamp::Remove,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{TtlUpdate, TtlVisibility};

    const STAMPS: Stamps = Stamps { watermark: 5, processing: 7 };

    fn state(name: &str, schema_version: u32) -> StateDeclaration {
        let (name, kind, type_name) = (name.into(), StateKind::Value, String::new());
        StateDeclaration { name, kind, schema_version, type_name, ttl: None }
    }

    fn ttl(domain: TimeDomain) -> Ttl {
        Ttl {
            time_ms: 1,
            domain,
            update: TtlUpdate::OnCreateAndWrite,
            visibility: TtlVisibility::NeverReturnExpired,
            cleanup_in_full_snapshot: false,
            cleanup_incrementally: 0,
            cleanup_in_compaction: false,
        }
    }

    /// The columns once these states are declared, kept if undeclared.
    fn to(layout: &Layout, declared: &[StateDeclaration], ttl: &[Option<Ttl>]) -> Layout {
        layout.changed(declared, ttl, Fate::Kept, STAMPS)
    }

    fn fates(layout: &Layout) -> Vec<Fate> {
        layout.columns.iter().map(|column| column.fate).collect()
    }

    fn moves(to: usize, restamp: Restamp, from_version: u32, to_version: u32) -> Fate {
        Fate::Moves(Move { to, restamp, from_version, to_version })
    }

    #[test]
    fn versions_that_are_on_their_way_all_move_to_the_last() {
        let first = Layout::new(&[state("a", 1)], &[None]);
        let second = to(&first, &[state("a", 2)], &[None]);
        assert_eq!(fates(&second), [moves(1, Restamp::Keep, 1, 2), Fate::Live]);
        let third = to(&second, &[state("a", 3)], &[None]);
        assert_eq!(
            fates(&third),
            [moves(2, Restamp::Keep, 1, 3), moves(2, Restamp::Keep, 2, 3), Fate::Live]
        );
        assert_eq!(third.live, [2]);
    }

    #[test]
    fn a_time_to_live_that_comes_and_goes_takes_two_columns() {
        let without = Layout::new(&[state("a", 1)], &[None]);
        let with = to(&without, &[state("a", 1)], &[Some(ttl(TimeDomain::Processing))]);
        assert_eq!(fates(&with), [moves(1, Restamp::Add(7), 1, 1), Fate::Live]);
        let again = to(&with, &[state("a", 1)], &[None]);
        assert_eq!(fates(&again), [Fate::Live, moves(0, Restamp::Remove, 1, 1)]);
        assert_eq!(again.live, [0]);
        let event = to(&with, &[state("a", 1)], &[Some(ttl(TimeDomain::Event))]);
        assert_eq!(
            fates(&event),
            [moves(2, Restamp::Add(5), 1, 1), moves(2, Restamp::Replace(5), 1, 1), Fate::Live]
        );
    }

    #[test]
    fn what_is_kept_comes_back_and_what_is_gone_does_not() {
        let first = Layout::new(&[state("a", 1), state("b", 1)], &[None, None]);
        let mut second = to(&first, &[state("b", 1)], &[None]);
        assert_eq!((fates(&second), &second.live[..]), (vec![Fate::Kept, Fate::Live], &[1][..]));
        let back = to(&second, &[state("a", 1), state("b", 1)], &[None, None]);
        assert_eq!(back, first);
        second.release();
        assert_eq!(fates(&second), [Fate::Gone, Fate::Live]);
        let anew = to(&second, &[state("b", 1), state("a", 1)], &[None, None]);
        assert_eq!(fates(&anew), [Fate::Gone, Fate::Live, Fate::Live]);
        assert_eq!(anew.live, [1, 2]);
    }

    #[test]
    fn a_version_that_is_taken_back_is_gone() {
        let first = Layout::new(&[state("a", 1)], &[None]);
        let second = to(&first, &[state("a", 2)], &[None]);
        let back = second.changed(&[state("a", 1)], &[None], Fate::Gone, STAMPS);
        assert_eq!(fates(&back), [Fate::Live, Fate::Gone]);
    }
}
