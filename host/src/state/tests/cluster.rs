//! All partitions of an operator, and beside them the model: what they should hold.

use std::collections::{BTreeMap, BTreeSet};

use super::content::{Change, Content};
use super::model::{Model, is_over};
use super::partition::{Backend, Copying, Declared, Disk, Image, Partition, groups_of, is_among};
use super::steps::{Call, Crash, key_of};
use crate::model::{TIME_END, TIME_NONE, Ttl, TtlUpdate, TtlVisibility};
use crate::state::{Restamp, Slot, SnapshotForm, Stamps, StateChange, StateSettings};

/// The largest state that [`Cluster::call`] finds not too large.
const STATE_BYTES: usize = 64;

/// A checkpoint under way.
struct UnderWay {
    copying: Vec<Copying>,
    model: Model,
}

/// A complete checkpoint.
struct Taken {
    images: Vec<Image>,
    model: Model,
}

/// The partitions of an operator.
pub(super) struct Cluster<'a> {
    disk: &'a Disk,
    pub(super) declared: Declared,
    backend: Backend,
    pub(super) partitions: Vec<Partition>,
    pub(super) model: Model,
    under_way: Option<UnderWay>,
    taken: Option<Taken>,
}

impl<'a> Cluster<'a> {
    /// Without anything yet.
    pub(super) fn new(disk: &'a Disk, states: Vec<StateSettings>, start: Crash) -> Self {
        let mut cluster = Self {
            disk,
            model: Model::new(states.len(), 1_000),
            declared: Declared { states, is_reversed: false },
            backend: start.backend,
            partitions: Vec::new(),
            under_way: None,
            taken: None,
        };
        cluster.crash(start);
        cluster
    }

    fn has_ttl(&self) -> bool {
        self.declared.states.iter().any(|state| state.ttl.is_some())
    }

    // ------------------------------------------------------------------------------------- calls

    /// What a function does in one call: reads every state of some keys, changes some of them, and
    /// registers timers.
    pub(super) fn call(&mut self, call: &Call) {
        for partition in 0..self.partitions.len() {
            self.call_one(partition, call);
        }
    }

    fn call_one(&mut self, partition: usize, call: &Call) {
        let all: Vec<Vec<u8>> = call.keys.iter().map(|key| key_of(*key)).collect();
        let groups = self.partitions[partition].groups.clone();
        let here = all.iter().filter(|key| is_among(&groups, key));
        let keys: Vec<Vec<u8>> = here.cloned().collect();
        if keys.is_empty() {
            return;
        }
        let slots = self.partitions[partition].enter(&keys);
        self.settle(partition, &keys, &slots);
        let mut changes = self.accesses(&keys, call.ahead);
        for (index, state, change) in &call.changes {
            let key = &all[index % all.len()];
            if let Some(index) = keys.iter().position(|other| other == key) {
                changes.push((index, *state, self.stamped(*state, change, call.ahead)));
            }
        }
        self.apply(partition, &keys, &slots, &changes);
        for timer in &call.timers {
            let key = &all[timer.key % all.len()];
            if let Some(index) = keys.iter().position(|other| other == key) {
                self.change_timer(partition, (key, slots[index]), timer);
            }
        }
        self.check_due(partition, &keys, &slots, call.ahead.unwrap_or(5));
        self.expect(partition, &keys, &slots);
        self.partitions[partition].leave();
        self.partitions[partition].keyed.clean_up(keys.len());
        self.check_memory(partition);
    }

    /// Holds what keys have against the model, and takes over what is gone.
    pub(super) fn settle(&mut self, partition: usize, keys: &[Vec<u8>], slots: &[Slot]) {
        for state in 0..self.declared.states.len() {
            let found = self.partitions[partition].read(state, slots);
            for (key, found) in keys.iter().zip(found) {
                self.check_visible(key, state, found.as_ref());
                self.model.settle(key, state, found);
            }
        }
    }

    /// What a function may see, if it never sees what has expired, does not depend on whether that
    /// was removed.
    fn check_visible(&self, key: &[u8], state: usize, found: Option<&Content>) {
        let ttl = self.declared.states[state].ttl;
        let hides = |ttl: &Ttl| ttl.visibility == TtlVisibility::NeverReturnExpired;
        let Some(horizon) = ttl.filter(hides).and_then(|ttl| self.model.horizon(&ttl)) else {
            return;
        };
        let visible = |content: &Content| content.filter(|value| !is_over(value, horizon));
        let expected = self.model.get(key, state).and_then(visible);
        assert_eq!(found.and_then(visible), expected, "state {state} of {key:?} at {horizon}");
    }

    /// What a function writes because it has read, by index of the key.
    fn accesses(&self, keys: &[Vec<u8>], ahead: Option<i64>) -> Vec<(usize, usize, Change)> {
        let mut changes = Vec::new();
        let distinct = (0..keys.len()).filter(|index| !keys[..*index].contains(&keys[*index]));
        for (key, (state, settings)) in
            distinct.flat_map(|key| self.declared.states.iter().enumerate().map(move |s| (key, s)))
        {
            let counts = |ttl: &Ttl| ttl.update == TtlUpdate::OnReadAndWrite;
            let Some(ttl) = settings.ttl.filter(counts) else { continue };
            let Some(content) = self.model.get(&keys[key], state) else { continue };
            let horizon = self.model.horizon(&ttl).unwrap_or(TIME_NONE);
            let stamp = self.model.stamp(&ttl, ahead).to_le_bytes();
            let accessed = content.map_values(|value| match is_over(value, horizon) {
                true => value.to_vec(),
                false => [&stamp, &value[8..]].concat(),
            });
            let puts: Vec<Change> = match accessed {
                Content::One(value) => vec![Change::Put(Vec::new(), value)],
                Content::List(list) => [Change::Clear]
                    .into_iter()
                    .chain(list.into_iter().map(|value| Change::Put(Vec::new(), value)))
                    .collect(),
                Content::Map(map) => {
                    map.into_iter().map(|(key, value)| Change::Put(key, value)).collect()
                }
            };
            changes.extend(puts.into_iter().map(|put| (key, state, put)));
        }
        changes
    }

    /// A change as a function writes it: with the time of the access.
    fn stamped(&self, state: usize, change: &Change, ahead: Option<i64>) -> Change {
        match (change, &self.declared.states[state].ttl) {
            (Change::Put(key, value), Some(ttl)) => {
                let stamp = self.model.stamp(ttl, ahead).to_le_bytes();
                Change::Put(key.clone(), [&stamp, &value[..]].concat())
            }
            _ => change.clone(),
        }
    }

    fn apply(
        &mut self,
        partition: usize,
        keys: &[Vec<u8>],
        slots: &[Slot],
        changes: &[(usize, usize, Change)],
    ) {
        for state in 0..self.declared.states.len() {
            let kind = self.declared.kind(state);
            let mut encoded = Vec::new();
            let mut touched = BTreeMap::new();
            for (key, _, change) in changes.iter().filter(|(_, other, _)| *other == state) {
                encoded.push((slots[*key], change.encode(kind)));
                let place = (keys[*key].clone(), state);
                let content = change.apply(kind, self.model.states.remove(&place));
                let bytes = content.as_ref().map_or(0, Content::cell_bytes);
                touched.insert(slots[*key], bytes);
                if let Some(content) = content {
                    self.model.states.insert(place, content);
                }
            }
            let changes = encoded.iter().map(|(slot, (operation, entry))| StateChange {
                slot: *slot,
                operation: *operation,
                entry,
            });
            let keyed = &mut self.partitions[partition].keyed;
            let place = self.declared.place(state);
            let oversized = touched.into_iter().find(|(_, bytes)| *bytes > STATE_BYTES);
            assert_eq!(keyed.find_oversized(place, changes.clone(), STATE_BYTES), oversized);
            keyed.apply(place, changes);
        }
    }

    /// Keys that were entered have exactly what the model has.
    fn expect(&self, partition: usize, keys: &[Vec<u8>], slots: &[Slot]) {
        for state in 0..self.declared.states.len() {
            let found = self.partitions[partition].read(state, slots);
            for (key, found) in keys.iter().zip(found) {
                assert_eq!(found.as_ref(), self.model.get(key, state), "state {state} of {key:?}");
            }
        }
    }

    /// Nobody stays in memory who has no reason to.
    fn check_memory(&self, partition: usize) {
        match self.backend {
            // The model may have what was cleaned up and nobody has looked for since.
            Backend::HashMap if self.has_ttl() => {}
            Backend::HashMap => self.check_keys(partition),
            Backend::RocksDb(budget) => {
                let Partition { keyed, groups, .. } = &self.partitions[partition];
                let keys = self.model.timers.iter().map(|(.., key)| key);
                let with_timers: BTreeSet<_> = keys.filter(|key| is_among(groups, key)).collect();
                let cached = budget / (96 + 32 * self.declared.states.len());
                assert!(keyed.keys.len() <= with_timers.len() + cached);
            }
        }
    }

    /// On the heap, those keys have slots that have state or timers.
    fn check_keys(&self, partition: usize) {
        let Partition { keyed, groups, .. } = &self.partitions[partition];
        let with_states = self.model.states.keys().map(|(key, _)| key);
        let keys = with_states.chain(self.model.timers.iter().map(|(.., key)| key));
        let keys: BTreeSet<_> = keys.filter(|key| is_among(groups, key)).collect();
        assert_eq!(keyed.keys.len(), keys.len());
    }

    // ------------------------------------------------------------------------------ time to live

    /// Time goes on.
    pub(super) fn go_on(&mut self, event: i64, processing: i64) {
        self.model.watermark = match self.model.watermark {
            TIME_END => TIME_END,
            TIME_NONE => event,
            watermark => watermark + event,
        };
        self.model.processing += processing;
        self.set_clocks();
    }

    /// The input ends.
    pub(super) fn end(&mut self) {
        self.model.watermark = TIME_END;
        self.set_clocks();
    }

    fn set_clocks(&mut self) {
        let Model { watermark, processing, .. } = self.model;
        self.partitions.iter().for_each(|one| one.keyed.set_clocks(watermark, processing));
        let backend = self.backend;
        self.model.lose(&self.declared.states, |ttl| match backend {
            Backend::HashMap => ttl.cleanup_incrementally > 0,
            Backend::RocksDb(_) => ttl.cleanup_in_compaction,
        });
    }

    /// Removes what has expired, as after so many records. All of it is gone if these are many.
    pub(super) fn clean_up(&mut self, records: usize) {
        self.partitions.iter_mut().for_each(|one| one.keyed.clean_up(records));
        if records < usize::MAX || self.backend != Backend::HashMap {
            return;
        }
        let keys: BTreeSet<Vec<u8>> =
            self.model.states.keys().map(|(key, _)| key.clone()).collect();
        for partition in 0..self.partitions.len() {
            let groups = self.partitions[partition].groups.clone();
            let here = keys.iter().filter(|key| is_among(&groups, key));
            let keys: Vec<Vec<u8>> = here.cloned().collect();
            let slots = self.partitions[partition].enter(&keys);
            self.settle(partition, &keys, &slots);
            self.partitions[partition].leave();
            self.check_keys(partition);
        }
        for (state, settings) in self.declared.states.iter().enumerate() {
            let Some(ttl) = settings.ttl.filter(|ttl| ttl.cleanup_incrementally > 0) else {
                continue;
            };
            let Some(horizon) = self.model.horizon(&ttl) else { continue };
            let of_state = self.model.states.iter().filter(|((_, other), _)| *other == state);
            for (place, content) in of_state {
                let is_alive = |value: &&[u8]| !is_over(value, horizon);
                assert!(content.values().iter().all(is_alive), "{place:?} is {content:?}");
            }
        }
    }

    /// Compacts all stores. Values that have expired are gone then, if that is asked for.
    pub(super) fn compact(&mut self) {
        if self.under_way.is_some() || self.backend == Backend::HashMap {
            self.partitions.iter().for_each(Partition::compact);
            return;
        }
        for partition in &mut self.partitions {
            // Writes what is in memory only.
            drop(partition.dump());
            partition.compact();
            for ((key, state), content) in partition.dump().read().0 {
                let ttl = self.declared.states[state].ttl;
                let ttl = ttl.filter(|ttl| ttl.cleanup_in_compaction);
                let Some(horizon) = ttl.and_then(|ttl| self.model.horizon(&ttl)) else { continue };
                let mut values = content.values().into_iter();
                assert!(values.any(|value| !is_over(value, horizon)), "{key:?} is {content:?}");
            }
        }
    }

    // ------------------------------------------------------------------- checkpoints and crashes

    /// Begins a checkpoint, unless one is under way.
    pub(super) fn begin(&mut self, form: SnapshotForm) {
        if self.under_way.is_some() {
            return;
        }
        let copying = self.partitions.iter_mut().map(|one| one.begin(form)).collect();
        let mut model = self.model.clone();
        if form == SnapshotForm::Canonical || self.backend == Backend::HashMap {
            model.lose(&self.declared.states, |ttl| ttl.cleanup_in_full_snapshot);
        }
        self.under_way = Some(UnderWay { copying, model });
    }

    /// Takes a whole checkpoint of this moment.
    pub(super) fn complete(&mut self, form: SnapshotForm) {
        self.under_way = None;
        self.begin(form);
        while self.under_way.is_some() {
            self.advance();
        }
    }

    /// Goes on with the checkpoint that is under way.
    pub(super) fn advance(&mut self) {
        let Some(UnderWay { mut copying, model }) = self.under_way.take() else { return };
        let mut is_done = true;
        for (partition, copying) in self.partitions.iter_mut().zip(&mut copying) {
            is_done &= partition.advance(copying);
        }
        if is_done {
            let images = copying.into_iter().map(Copying::finish).collect();
            self.taken = Some(Taken { images, model });
        } else {
            self.under_way = Some(UnderWay { copying, model });
        }
    }

    /// Loses everything and goes on from the last complete checkpoint, if there is one.
    pub(super) fn crash(&mut self, to: Crash) {
        self.restore(to);
        self.check_all();
    }

    /// Loses everything and goes on from the last complete checkpoint with states that live as long
    /// as these; `restamps` says by state what becomes of access times.
    pub(super) fn change_lifetimes(
        &mut self,
        states: Vec<StateSettings>,
        restamps: &[Restamp],
        to: Crash,
    ) {
        let taken = self.taken.as_mut().expect("a checkpoint is complete");
        for ((_, state), content) in &mut taken.model.states {
            let skip = if self.declared.states[*state].ttl.is_some() { 8 } else { 0 };
            *content = content.map_values(|value| match restamps[*state] {
                Restamp::Keep => value.to_vec(),
                Restamp::Add(stamp) => [&stamp.to_le_bytes(), value].concat(),
                Restamp::Replace(stamp) => [&stamp.to_le_bytes(), &value[skip..]].concat(),
                Restamp::Remove => value[skip..].to_vec(),
            });
        }
        self.declared.states = states;
        self.restore(to);
        // The checkpoint has the old access times.
        self.taken = None;
    }

    fn restore(&mut self, to: Crash) {
        let Crash { backend, parallelism, is_reversed } = to;
        self.partitions.clear();
        self.under_way = None;
        self.declared.is_reversed = is_reversed;
        self.backend = backend;
        let processing = self.model.processing;
        let (images, model) = match &self.taken {
            Some(Taken { images, model }) => (&images[..], Model { processing, ..model.clone() }),
            None => (&[][..], Model::new(self.declared.states.len(), processing)),
        };
        self.model = model;
        let stamps = Stamps { watermark: self.model.watermark, processing };
        let restore = |partition| {
            let groups = groups_of(partition, parallelism);
            Partition::restore(self.disk, &self.declared, backend, groups, images, stamps)
        };
        self.partitions = (0..parallelism).map(restore).collect();
        self.set_clocks();
    }

    /// All partitions together have what the model has, each key once and in its place.
    pub(super) fn check_all(&mut self) {
        assert!(self.under_way.is_none());
        let mut model = self.model.clone();
        model.lose(&self.declared.states, |ttl| ttl.cleanup_in_full_snapshot);
        let (mut states, mut timers) = (BTreeMap::new(), Vec::new());
        for partition in &mut self.partitions {
            // What is in the wrong partition would be in one of the right ones too, or missing.
            let (mut found, mut found_timers) = partition.dump().read();
            states.append(&mut found);
            timers.append(&mut found_timers);
        }
        let places: BTreeSet<_> = states.keys().chain(model.states.keys()).cloned().collect();
        for (key, state) in places {
            let found = states.remove(&(key.clone(), state));
            let ttl = self.declared.states[state].ttl.filter(|ttl| ttl.cleanup_in_full_snapshot);
            if let Some(horizon) = ttl.and_then(|ttl| model.horizon(&ttl)) {
                let values = found.iter().flat_map(Content::values);
                assert!(values.into_iter().all(|value| !is_over(value, horizon)), "{found:?}");
            }
            model.settle(&key, state, found);
        }
        timers.sort();
        assert_eq!(timers, Vec::from_iter(model.timers));
    }

    /// Ends: what is under way is completed, all is there, and can be gone on from.
    pub(super) fn finish(mut self, last: Crash) {
        while self.under_way.is_some() {
            self.advance();
        }
        self.check_all();
        self.crash(last);
    }
}
