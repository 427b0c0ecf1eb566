//! Which state has outlived its time to live, and how it is removed or gets access times.
//!
//! The function decides what it sees; the host removes what it would not look at any more: beside
//! the records on the heap, when something is written whole, and when RocksDB compacts.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, RwLock};

use super::cell::{self, Encoded};
use super::entry::{Entry, EntryKind};
use super::layout::{Fate, StateForm};
use super::store::FrozenEntries;
use crate::error::Result;
use crate::model::{KeyGroup, STAMP_BYTES, StateKind, TIME_NONE, TimeDomain, Ttl, is_expired};

/// What is known of one state of a partition.
#[derive(Debug, Clone, Copy)]
pub struct StateSettings {
    /// Its kind.
    pub kind: StateKind,
    /// How long it lives without an access; none = for ever.
    pub ttl: Option<Ttl>,
}

impl From<&StateForm> for StateSettings {
    fn from(column: &StateForm) -> Self {
        // What no function declares in this form does not age by what one said of it before.
        let ttl = column.ttl.filter(|_| column.fate == Fate::Live);
        Self { kind: column.kind, ttl }
    }
}

/// The states of a partition, column by column, and what its clocks say. Clones share both.
#[derive(Debug, Clone)]
pub struct Lifetimes {
    states: Arc<RwLock<Arc<[StateSettings]>>>,
    clocks: Arc<Clocks>,
}

#[derive(Debug)]
struct Clocks {
    watermark: AtomicI64,
    processing: AtomicI64,
    /// Whether nothing is removed by them when files are compacted.
    are_held: AtomicBool,
}

/// By state, the last access times that have expired; none where nothing has.
pub(super) type Horizons = Vec<Option<i64>>;

impl Lifetimes {
    /// Of some states, with clocks that stand at the beginning of time.
    pub fn new(states: impl IntoIterator<Item = StateSettings>) -> Self {
        let clock = || AtomicI64::new(TIME_NONE);
        let are_held = AtomicBool::new(false);
        let clocks = Clocks { watermark: clock(), processing: clock(), are_held };
        let states = Arc::new(RwLock::new(states.into_iter().collect()));
        Self { states, clocks: Arc::new(clocks) }
    }

    /// The states in the order of their columns.
    pub fn states(&self) -> Arc<[StateSettings]> {
        self.states.read().expect("nobody panics with this lock").clone()
    }

    /// Changes what is known of the states.
    pub(super) fn set_states(&self, states: impl Iterator<Item = StateSettings>) {
        *self.states.write().expect("nobody panics with this lock") = states.collect();
    }

    /// Sets the clocks: the watermark in force and the host's clock.
    pub fn set_clocks(&self, watermark: i64, processing: i64) {
        // Whoever reads them a little later removes a little less.
        self.clocks.watermark.store(watermark, Ordering::Release);
        self.clocks.processing.store(processing, Ordering::Release);
    }

    /// Whether compaction is to remove nothing for now: what expires after a barrier belongs to its
    /// snapshot, and must not go before that has been frozen.
    pub(super) fn hold(&self, are_held: bool) {
        self.clocks.are_held.store(are_held, Ordering::Release);
    }

    /// The last access times that have expired, of states whose settings say that they matter.
    pub(super) fn horizons(&self, matters: impl Fn(&Ttl) -> bool) -> Horizons {
        let of = |state: &StateSettings| {
            let ttl = state.ttl.filter(|ttl| matters(ttl))?;
            self.horizon(&ttl)
        };
        self.states().iter().map(of).collect()
    }

    fn horizon(&self, ttl: &Ttl) -> Option<i64> {
        let clock = match ttl.domain {
            TimeDomain::Event => &self.clocks.watermark,
            TimeDomain::Processing => &self.clocks.processing,
        };
        ttl.horizon(clock.load(Ordering::Acquire))
    }

    /// Whether some state is cleaned up when files are compacted.
    #[cfg(feature = "rocksdb")]
    pub(super) fn clean_up_in_compaction(&self) -> bool {
        self.states().iter().any(|state| state.ttl.is_some_and(|ttl| ttl.cleanup_in_compaction))
    }

    /// Whether everything in a cell that is being compacted has expired. One of which something is
    /// left stays whole.
    #[cfg(feature = "rocksdb")]
    pub(super) fn has_expired(&self, state: u16, stored: &[u8]) -> bool {
        let states = self.states();
        let settings = states.get(usize::from(state));
        let ttl = settings.and_then(|state| state.ttl.filter(|ttl| ttl.cleanup_in_compaction));
        match (settings, ttl.and_then(|ttl| self.horizon(&ttl))) {
            (Some(settings), Some(horizon)) => {
                let is_over = remains(stored, settings.kind, horizon) == Remains::Nothing;
                // Asked last: a clock that has passed a barrier tells that they are held.
                is_over && !self.clocks.are_held.load(Ordering::Acquire)
            }
            _ => false,
        }
    }
}

/// What is left of a cell when what has expired is taken out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Remains {
    /// All of it.
    All,
    /// Some elements or entries.
    Some(Encoded),
    /// Nothing.
    Nothing,
}

/// Takes out what was last accessed at `horizon` or before.
pub(super) fn remains(stored: &[u8], kind: StateKind, horizon: i64) -> Remains {
    let parts = match kind {
        StateKind::Value | StateKind::Reducing | StateKind::Aggregating => {
            return if is_expired(stored, horizon) { Remains::Nothing } else { Remains::All };
        }
        StateKind::List => 1,
        StateKind::Map => 2,
    };
    let strings = || cell::strings(stored, parts);
    let is_alive = |last: &[u8]| !is_expired(last, horizon);
    if strings().all(|(_, last)| is_alive(last)) {
        return Remains::All;
    }
    let mut left = Encoded::new();
    let alive = strings().filter(|(_, last)| is_alive(last));
    alive.for_each(|(range, _)| left.extend_from_slice(&stored[range]));
    if left.is_empty() { Remains::Nothing } else { Remains::Some(left) }
}

/// How cells of a snapshot become those of a state that has another clock, or none, or one now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restamp {
    /// They stay.
    Keep,
    /// They have no access times and get this one.
    Add(i64),
    /// Their access times are of another clock and become this one.
    Replace(i64),
    /// They lose their access times.
    Remove,
}

impl Restamp {
    /// A cell as its state wants it.
    pub(super) fn apply(self, stored: &[u8], kind: StateKind) -> Option<Encoded> {
        let (skip, stamp) = match self {
            Restamp::Keep => return None,
            Restamp::Add(stamp) => (0, Some(stamp)),
            Restamp::Replace(stamp) => (STAMP_BYTES, Some(stamp)),
            Restamp::Remove => (STAMP_BYTES, None),
        };
        let rewrite = |cell: &mut Encoded, value: &[u8]| {
            cell.extend_from_slice(stamp.map(i64::to_le_bytes).as_ref().map_or(&[], |s| &s[..]));
            cell.extend_from_slice(value.get(skip..).unwrap_or_default());
        };
        let mut cell = Encoded::new();
        let parts = match kind {
            StateKind::Value | StateKind::Reducing | StateKind::Aggregating => {
                rewrite(&mut cell, stored);
                return Some(cell);
            }
            StateKind::List => 1,
            StateKind::Map => 2,
        };
        for (range, last) in cell::strings(stored, parts) {
            // Everything before the length of the last string stays.
            cell.extend_from_slice(&stored[range.start..range.end - last.len() - 4]);
            let mut value = Encoded::new();
            rewrite(&mut value, last);
            cell::append(&mut cell, &value);
        }
        Some(cell)
    }
}

/// A store's entries without what had expired when they were frozen.
pub(super) struct Alive {
    pub(super) entries: Box<dyn FrozenEntries>,
    pub(super) states: Arc<[StateSettings]>,
    pub(super) horizons: Horizons,
}

impl FrozenEntries for Alive {
    fn for_each(
        self: Box<Self>,
        visit: &mut dyn FnMut(KeyGroup, Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let Self { entries, states, horizons } = *self;
        entries.for_each(&mut |group, entry| {
            let EntryKind::State(state) = entry.kind else { return visit(group, entry) };
            let state = usize::from(state);
            let Some(horizon) = horizons[state] else { return visit(group, entry) };
            match remains(entry.value, states[state].kind, horizon) {
                Remains::All => visit(group, entry),
                Remains::Some(left) => visit(group, Entry { value: &left, ..entry }),
                Remains::Nothing => Ok(()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{KeyHash, Packed, StateDeclaration, TIME_END, TtlUpdate, TtlVisibility};
    use crate::state::{KeyedState, Layout, SnapshotForm, entry};

    /// A time to live of 10 ms.
    fn ttl(domain: TimeDomain) -> Ttl {
        Ttl {
            time_ms: 10,
            domain,
            update: TtlUpdate::OnCreateAndWrite,
            visibility: TtlVisibility::NeverReturnExpired,
            cleanup_in_full_snapshot: true,
            cleanup_incrementally: 1,
            cleanup_in_compaction: true,
        }
    }

    fn lifetimes(kind: StateKind) -> Lifetimes {
        Lifetimes::new([StateSettings { kind, ttl: Some(ttl(TimeDomain::Event)) }])
    }

    fn stamped(stamp: i64, value: &[u8]) -> Vec<u8> {
        [&stamp.to_le_bytes()[..], value].concat()
    }

    /// Goes on with a snapshot. Whether there is more.
    fn advance(state: &mut KeyedState, bytes: &mut Vec<u8>) -> bool {
        let hand_on = &mut |_, entries: Vec<u8>| bytes.extend(entries);
        state.advance_snapshot(hand_on).expect("the heap does not fail").is_none()
    }

    /// Strings with their lengths before them.
    fn framed(strings: &[&[u8]]) -> Encoded {
        let mut cell = Encoded::new();
        strings.iter().for_each(|string| cell::append(&mut cell, string));
        cell
    }

    #[test]
    fn only_what_has_expired_goes() {
        let (old, young) = (stamped(5, b"old"), stamped(6, b"young"));
        assert_eq!(remains(&old, StateKind::Value, 5), Remains::Nothing);
        assert_eq!(remains(&young, StateKind::Reducing, 5), Remains::All);
        assert_eq!(remains(&stamped(TIME_NONE, b""), StateKind::Value, 5), Remains::All);

        let list = framed(&[&old, &young, &old]);
        assert_eq!(remains(&list, StateKind::List, 4), Remains::All);
        assert_eq!(remains(&list, StateKind::List, 5), Remains::Some(framed(&[&young])));
        assert_eq!(remains(&list, StateKind::List, 6), Remains::Nothing);

        let map = framed(&[b"a", &young, b"b", &old]);
        assert_eq!(remains(&map, StateKind::Map, 5), Remains::Some(framed(&[b"a", &young])));
        assert_eq!(remains(&map, StateKind::Map, 6), Remains::Nothing);
    }

    #[test]
    fn nothing_expires_before_the_first_watermark_or_because_the_input_ends() {
        let of = |watermark| {
            let lifetimes = lifetimes(StateKind::Value);
            lifetimes.set_clocks(watermark, 1_000);
            lifetimes.horizons(|_| true)
        };
        assert_eq!([of(TIME_NONE), of(TIME_END)], [[None], [None]]);
        assert_eq!(of(15), [Some(5)]);
        assert_eq!(ttl(TimeDomain::Event).horizon(TIME_NONE + 3), None);
    }

    #[test]
    fn access_times_come_change_and_go() {
        let (bare, at_7) = (b"v".to_vec(), stamped(7, b"v"));
        for (kind, bare, at_7, at_9) in [
            (
                StateKind::Value,
                Encoded::from_slice(&bare),
                at_7.clone().into(),
                stamped(9, b"v").into(),
            ),
            (
                StateKind::List,
                framed(&[&bare, b""]),
                framed(&[&at_7, &stamped(7, b"")]),
                framed(&[&stamped(9, b"v"), &stamped(9, b"")]),
            ),
            (
                StateKind::Map,
                framed(&[b"key", &bare]),
                framed(&[b"key", &at_7]),
                framed(&[b"key", &stamped(9, b"v")]),
            ),
        ] {
            assert_eq!(Restamp::Add(7).apply(&bare, kind), Some(at_7.clone()), "{kind:?}");
            assert_eq!(Restamp::Replace(9).apply(&at_7, kind), Some(at_9), "{kind:?}");
            assert_eq!(Restamp::Remove.apply(&at_7, kind), Some(bare), "{kind:?}");
            assert_eq!(Restamp::Keep.apply(&at_7, kind), None);
        }
    }

    /// Keys of which each was accessed at the time of its number.
    fn filled(keys: u8) -> KeyedState {
        let declared = StateDeclaration {
            name: "value".into(),
            kind: StateKind::Value,
            schema_version: 1,
            type_name: String::new(),
            ttl: Some(ttl(TimeDomain::Event)),
        };
        let ttl = declared.ttl;
        let mut state = KeyedState::on_heap(Layout::new(&[declared], &[ttl]), 1);
        for key in 0..keys {
            let value = stamped(key.into(), b"");
            let entry = Entry { kind: EntryKind::State(0), key: &[key], value: &value };
            state.restore_entry(entry).expect("it fits");
        }
        state
    }

    fn keys(state: &mut KeyedState) -> Vec<u8> {
        let mut bytes = Vec::new();
        state.begin_snapshot(SnapshotForm::Native).expect("the heap does not fail");
        while advance(state, &mut bytes) {}
        entry::read(&bytes).map(|entry| entry.expect("well formed").key[0]).collect()
    }

    #[test]
    fn each_record_cleans_up_a_key_and_snapshots_leave_the_rest_out() {
        let mut state = filled(10);
        state.set_clocks(14, 0);
        assert_eq!(keys(&mut state), [5, 6, 7, 8, 9]);
        assert_eq!(state.keys.len(), 10);
        state.clean_up(3);
        assert_eq!(state.keys.len(), 7);
        // A snapshot under way still has what was alive when it began.
        state.begin_snapshot(SnapshotForm::Native).expect("the heap does not fail");
        state.set_clocks(100, 0);
        state.clean_up(10);
        assert_eq!(state.keys.len(), 0);
        let mut bytes = Vec::new();
        while advance(&mut state, &mut bytes) {}
        assert_eq!(entry::read(&bytes).count(), 5);
        // Freed slots are used again.
        let (mut key, mut slots) = (Packed::default(), Vec::new());
        key.push(b"new");
        state.enter(&key, &[KeyHash::of(b"new")], &mut slots).expect("the heap does not fail");
        assert_eq!(state.keys.len(), 1);
    }
}
