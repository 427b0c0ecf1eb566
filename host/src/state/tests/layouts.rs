//! Chains of changes of what a function declares: states come and go, get and lose times to live,
//! and go from one schema version to the next, while keys are read and written and the background
//! moves what nobody has asked for. Whatever the order, a state holds what was written to it.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cases;
use super::content::Content;
use super::partition::{Disk, GROUPS};
use crate::model::{
    KeyHash, Packed, STAMP_BYTES, StateDeclaration, StateKind, TimeDomain, Ttl, TtlUpdate,
    TtlVisibility,
};
use crate::state::entry::{self, Entry, EntryKind};
use crate::state::{
    Fate, Frozen, KeyedState, Layout, Lifetimes, Slot, SnapshotForm, Stamps, StateChange,
};

/// The states that there can be; their names are their indices.
const KINDS: [StateKind; 3] = [StateKind::Value, StateKind::List, StateKind::Map];

/// So few that the background leaves some behind, and that they meet often.
const KEYS: u8 = 9;

/// A cache of so many bytes holds some of the keys only.
const BUDGET: usize = 900;

/// How a function declares a state.
#[derive(Debug, Clone, Copy)]
struct Form {
    version: u32,
    clock: Option<TimeDomain>,
}

type Forms = [Option<Form>; KINDS.len()];

/// One step.
#[derive(Debug, Clone)]
enum Step {
    /// Another function, once the one of now is confirmed: for each state whether it is declared,
    /// by how much its version is raised, and the clock of its time to live.
    Swap([Option<(u32, Option<TimeDomain>)>; KINDS.len()], bool),
    /// The function before comes back.
    Undo,
    /// Writes the states of some keys, having read them.
    Write(Vec<u8>),
    /// Reads the states of some keys.
    Read(Vec<u8>),
    /// The background goes on.
    Settle,
    /// All goes on from a snapshot, on either backend.
    Restart(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let clock = prop_oneof![
        2 => Just(None),
        1 => Just(Some(TimeDomain::Processing)),
        1 => Just(Some(TimeDomain::Event)),
    ];
    let raised = prop_oneof![3 => Just(0), 2 => Just(1), 1 => Just(2_u32)];
    let form = prop::option::weighted(0.8, (raised, clock));
    let keys = || vec(0..KEYS, 1..5);
    prop_oneof![
        4 => (prop::array::uniform(form), any::<bool>()).prop_map(|(forms, reversed)| {
            Step::Swap(forms, reversed)
        }),
        1 => Just(Step::Undo),
        6 => keys().prop_map(Step::Write),
        3 => keys().prop_map(Step::Read),
        3 => Just(Step::Settle),
        1 => any::<bool>().prop_map(Step::Restart),
    ]
}

/// What was written, and when by each clock.
#[derive(Debug, Clone, Copy)]
struct Written {
    number: u32,
    at: i64,
}

/// By state and key.
type Contents = BTreeMap<(usize, u8), Vec<Written>>;

/// A function that waits to be confirmed: what there was before it.
struct Unconfirmed {
    forms: Forms,
    order: Vec<usize>,
    /// What states hold that it does not declare.
    kept: Contents,
    /// Whether it has taken state to another version.
    migrates: bool,
}

struct Chain<'a> {
    disk: &'a Disk,
    keyed: KeyedState,
    forms: Forms,
    /// The declared states in the order of their declaration.
    order: Vec<usize>,
    unconfirmed: Option<Unconfirmed>,
    model: Contents,
    next: u32,
    /// Both clocks; the watermark is a million ahead.
    now: i64,
}

const AHEAD: i64 = 1_000_000;

fn clock_of(domain: TimeDomain, now: i64) -> i64 {
    match domain {
        TimeDomain::Processing => now,
        TimeDomain::Event => now + AHEAD,
    }
}

fn ttl(domain: TimeDomain) -> Ttl {
    Ttl {
        time_ms: 1 << 40,
        domain,
        update: TtlUpdate::OnCreateAndWrite,
        visibility: TtlVisibility::NeverReturnExpired,
        cleanup_in_full_snapshot: true,
        cleanup_incrementally: 1,
        cleanup_in_compaction: true,
    }
}

/// A value as a function of this version writes it.
fn encode(form: Form, number: u32, now: i64) -> Vec<u8> {
    let stamp = form.clock.map(|clock| clock_of(clock, now).to_le_bytes());
    let mut bytes: Vec<u8> = stamp.into_iter().flatten().collect();
    bytes.push(form.version as u8);
    bytes.extend(number.to_le_bytes());
    bytes
}

impl<'a> Chain<'a> {
    fn new(disk: &'a Disk, on_disk: bool) -> Self {
        let mut chain = Self {
            disk,
            keyed: KeyedState::on_heap(Layout::default(), GROUPS),
            forms: [Some(Form { version: 1, clock: None }); KINDS.len()],
            order: (0..KINDS.len()).collect(),
            unconfirmed: None,
            model: BTreeMap::new(),
            next: 0,
            now: 1,
        };
        let layout = chain.layout(&Layout::default(), Fate::Gone);
        chain.keyed = chain.empty(layout, on_disk);
        chain
    }

    fn empty(&self, layout: Layout, on_disk: bool) -> KeyedState {
        if !on_disk {
            return KeyedState::on_heap(layout, GROUPS);
        }
        let lifetimes = Lifetimes::new(layout.columns.iter().map(Into::into));
        let store = Box::new(self.disk.create_store(&lifetimes));
        KeyedState::on_store(layout, lifetimes, GROUPS, store, BUDGET)
    }

    /// The columns for what is declared now.
    fn layout(&self, before: &Layout, undeclared: Fate) -> Layout {
        let declare = |&state: &usize| {
            let form = self.forms[state].expect("what is in the order is declared");
            let ttl = form.clock.map(ttl);
            let (name, type_name) = (state.to_string(), String::new());
            let (kind, schema_version) = (KINDS[state], form.version);
            (StateDeclaration { name, kind, schema_version, type_name, ttl }, ttl)
        };
        let (declared, ttl): (Vec<_>, Vec<_>) = self.order.iter().map(declare).unzip();
        let stamps = Stamps { watermark: self.now + AHEAD, processing: self.now };
        before.changed(&declared, &ttl, undeclared, stamps)
    }

    fn take(&mut self, step: &Step) {
        self.now += 1;
        self.keyed.set_clocks(self.now + AHEAD, self.now);
        match step {
            Step::Swap(wanted, reversed) => self.swap(wanted, *reversed),
            Step::Undo => self.undo(),
            Step::Write(keys) => self.call(keys, true),
            Step::Read(keys) => self.call(keys, false),
            Step::Settle => drop(self.settle_some()),
            Step::Restart(on_disk) => self.restart(*on_disk),
        }
    }

    fn swap(&mut self, wanted: &[Option<(u32, Option<TimeDomain>)>; KINDS.len()], reversed: bool) {
        self.confirm();
        let before = self.forms;
        let raise = |(had, wanted): (&Option<Form>, &Option<(u32, Option<TimeDomain>)>)| {
            let (raised, clock) = (*wanted)?;
            // A state that was not there can have any version.
            let version = had.map_or(1, |had| had.version) + raised;
            Some(Form { version, clock })
        };
        let forms: Vec<Option<Form>> = before.iter().zip(wanted).map(raise).collect();
        self.forms = forms.try_into().expect("as many as there were");
        let mut order: Vec<usize> =
            (0..KINDS.len()).filter(|state| self.forms[*state].is_some()).collect();
        if reversed {
            order.reverse();
        }
        let is_gone = |state: usize| self.forms[state].is_none();
        let (kept, stays) = std::mem::take(&mut self.model)
            .into_iter()
            .partition(|((state, _), _)| is_gone(*state));
        self.model = stays;
        let both = before.iter().zip(&self.forms);
        let migrates =
            both.filter_map(|(had, has)| had.zip(*has)).any(|(had, has)| had.version < has.version);
        let order = std::mem::replace(&mut self.order, order);
        self.unconfirmed = Some(Unconfirmed { forms: before, order, kept, migrates });
        let layout = self.layout(self.keyed.layout(), Fate::Kept);
        self.keyed.set_layout(layout, false);
    }

    /// There is no way back any more. A migration is confirmed only when all has moved.
    fn confirm(&mut self) {
        let Some(swap) = self.unconfirmed.take() else { return };
        if swap.migrates {
            while self.settle_some() {}
        }
        self.keyed.release_kept();
    }

    /// Takes back a function that has migrated nothing; with one that has, the job goes back to a
    /// checkpoint from before it.
    fn undo(&mut self) {
        let Some(swap) = self.unconfirmed.take_if(|swap| !swap.migrates) else { return };
        (self.forms, self.order) = (swap.forms, swap.order);
        self.model.retain(|(state, _), _| self.forms[*state].is_some());
        self.model.extend(swap.kept);
        let layout = self.layout(self.keyed.layout(), Fate::Gone);
        self.keyed.set_layout(layout, false);
    }

    /// What a function does in a call.
    fn call(&mut self, keys: &[u8], writes: bool) {
        let packed: Packed = keys.iter().map(|key| vec![*key]).collect();
        let hashes: Vec<KeyHash> = keys.iter().map(|key| KeyHash::of(&[*key])).collect();
        let mut slots = Vec::new();
        self.keyed.enter(&packed, &hashes, &mut slots).unwrap();
        self.migrate(&slots);
        for (place, &state) in self.order.clone().iter().enumerate() {
            self.check_state(place, state, keys, &slots);
            for (&key, &slot) in keys.iter().zip(&slots).filter(|_| writes) {
                self.write(place, state, key, slot);
            }
        }
        self.keyed.sweep();
        self.keyed.trim().unwrap();
    }

    fn write(&mut self, place: usize, state: usize, key: u8, slot: Slot) {
        let form = self.forms[state].expect("it is declared");
        self.next += 1;
        let value = encode(form, self.next, self.now);
        let written = Written { number: self.next, at: self.now };
        let has = self.model.entry((state, key)).or_default();
        let entry = match KINDS[state] {
            StateKind::Value => {
                has.clear();
                value
            }
            StateKind::Map => [&4_u32.to_le_bytes()[..], &self.next.to_be_bytes(), &value].concat(),
            _ => value,
        };
        has.push(written);
        let change = StateChange { slot, operation: 1, entry: &entry };
        self.keyed.apply(place, [change].into_iter());
    }

    fn check_state(&self, place: usize, state: usize, keys: &[u8], slots: &[Slot]) {
        let (mut forms, mut values) = (Vec::new(), Packed::default());
        let hold = &mut |_, _| unreachable!("nothing is so long");
        self.keyed.read(place, slots, usize::MAX, &mut forms, &mut values, hold);
        for ((form, value), key) in forms.iter().zip(values.iter()).zip(keys) {
            self.check_cell(state, *key, (*form == 1).then_some(value));
        }
    }

    /// Compares what a key has of a declared state with what was written.
    fn check_cell(&self, state: usize, key: u8, cell: Option<&[u8]>) {
        let form = self.forms[state].expect("it is declared");
        let wanted = self.model.get(&(state, key)).map_or(&[][..], Vec::as_slice);
        let content = cell.map(|cell| Content::decode(KINDS[state], cell));
        let found = content.as_ref().map_or(Vec::new(), Content::values);
        assert_eq!(found.len(), wanted.len(), "state {state} of key {key}: {found:?}");
        for (found, wanted) in found.into_iter().zip(wanted) {
            let (stamp, value) = found.split_at(form.clock.map_or(0, |_| STAMP_BYTES));
            assert_eq!(value, encode(Form { clock: None, ..form }, wanted.number, 0));
            if let Some(clock) = form.clock {
                // It counts as accessed when it was written, or at a swap since then.
                let stamp = i64::from_le_bytes(stamp.try_into().unwrap());
                let since = clock_of(clock, wanted.at)..=clock_of(clock, self.now);
                assert!(since.contains(&stamp), "{stamp} is not in {since:?}");
            }
        }
    }

    /// Does as an operator does with a function that has a step from each version to the next.
    fn migrate(&mut self, slots: &[Slot]) {
        for cell in self.keyed.cells_to_migrate(slots) {
            let (_, step) = self.keyed.move_of(cell.column);
            assert!(step.from_version < step.to_version);
            let form = &self.keyed.layout().columns[step.to];
            let stamp_bytes = form.stamped.map_or(0, |_| STAMP_BYTES);
            let migrate = |value: &[u8]| {
                let mut value = value.to_vec();
                assert_eq!(u32::from(value[stamp_bytes]), step.from_version);
                value[stamp_bytes] = step.to_version as u8;
                value
            };
            let content = Content::decode(form.kind, &cell.cell).map_values(migrate);
            self.keyed.put_migrated(cell.slot, cell.column, Some(&cell_of(&content)));
        }
    }

    fn settle_some(&mut self) -> bool {
        let Some(slots) = self.keyed.next_unsettled(2).unwrap() else { return false };
        self.migrate(&slots);
        self.keyed.sweep();
        self.keyed.trim().unwrap();
        true
    }

    /// All entries, column by column.
    fn entries(&mut self) -> Vec<Vec<u8>> {
        self.keyed.begin_snapshot(SnapshotForm::Canonical).unwrap();
        let mut all = Vec::new();
        let frozen = loop {
            let hand_on = &mut |_, entries| all.push(entries);
            if let Some(frozen) = self.keyed.advance_snapshot(hand_on).unwrap() {
                break frozen;
            }
        };
        if let Frozen::Entries(entries) = frozen {
            let add = &mut |_, entry: Entry<'_>| {
                let mut bytes = Vec::new();
                entry::push(&mut bytes, entry);
                all.push(bytes);
                Ok(())
            };
            entries.for_each(add).unwrap();
        }
        all
    }

    fn restart(&mut self, on_disk: bool) {
        let all = self.entries();
        let layout = self.keyed.layout().clone();
        self.keyed = self.empty(layout.clone(), on_disk);
        self.keyed.set_clocks(self.now + AHEAD, self.now);
        for entry in all.iter().flat_map(|entries| entry::read(entries)) {
            self.keyed.restore_entry(entry.unwrap()).unwrap();
            self.keyed.trim().unwrap();
        }
        self.keyed.set_layout(layout, false);
    }

    /// Settles all, after which each column that is not live is empty, and each key has what was
    /// written to it.
    fn end(mut self) {
        self.confirm();
        while self.settle_some() {}
        assert!(self.keyed.is_settled());
        let all = self.entries();
        let mut found = 0;
        for entry in all.iter().flat_map(|entries| entry::read(entries)) {
            let Entry { kind, key, value } = entry.unwrap();
            let EntryKind::State(column) = kind else { panic!("there are no timers") };
            let form = &self.keyed.layout().columns[usize::from(column)];
            assert_eq!(form.fate, Fate::Live, "column {column} has something left");
            self.check_cell(form.name.parse().unwrap(), key[0], Some(value));
            found += 1;
        }
        assert_eq!(found, self.model.len());
    }
}

/// The cell of a content.
fn cell_of(content: &Content) -> Vec<u8> {
    let framed = |bytes: &[u8]| [&(bytes.len() as u32).to_le_bytes(), bytes].concat();
    match content {
        Content::One(value) => value.clone(),
        Content::List(list) => list.iter().flat_map(|value| framed(value)).collect(),
        Content::Map(map) => {
            map.iter().flat_map(|(key, value)| [framed(key), framed(value)].concat()).collect()
        }
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn states_hold_what_was_written_through_chains_of_changes(
        steps in vec(step(), 1..60),
        on_disk in any::<bool>(),
    ) {
        let disk = Disk::new();
        let mut chain = Chain::new(&disk, on_disk);
        steps.iter().for_each(|step| chain.take(step));
        chain.end();
    }
}
