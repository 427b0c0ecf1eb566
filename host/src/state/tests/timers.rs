//! Timers: registered, deleted and fired by the partitions and by a sorted set; and a million of
//! them.

use std::collections::BTreeSet;
use std::ops::Range;

use super::cluster::Cluster;
use super::contents::states;
use super::partition::{Backend, Declared, Disk, GROUPS, Partition, is_among};
use super::steps::TimerChange;
use crate::model::TimeDomain;
use crate::state::{KeyedState, Slot, SnapshotForm, Stamps};

fn domain(is_event: bool) -> TimeDomain {
    if is_event { TimeDomain::Event } else { TimeDomain::Processing }
}

impl Cluster<'_> {
    /// Registers or deletes a timer of a key that was entered.
    pub(super) fn change_timer(
        &mut self,
        partition: usize,
        (key, slot): (&[u8], Slot),
        change: &TimerChange,
    ) {
        let &TimerChange { is_event, time, is_deleted, .. } = change;
        let keyed = &mut self.partitions[partition].keyed;
        let timer = (is_event, time, key.to_vec());
        assert_eq!(
            keyed.has_timer(domain(is_event), slot, time),
            self.model.timers.contains(&timer)
        );
        if is_deleted {
            keyed.delete_timer(domain(is_event), slot, time);
            self.model.timers.remove(&timer);
        } else {
            keyed.register_timer(domain(is_event), slot, time);
            self.model.timers.insert(timer);
        }
        let count = self.model.timers.iter().filter(|(.., other)| other == key).count();
        assert_eq!(keyed.count_timers(slot), count);
    }

    /// Of keys that are part of a call, those timers are found that are due.
    pub(super) fn check_due(
        &mut self,
        partition: usize,
        keys: &[Vec<u8>],
        slots: &[Slot],
        time: i64,
    ) {
        let keyed = &mut self.partitions[partition].keyed;
        keyed.keys.begin_call();
        // The last of all keys is left out.
        let (_, part) = slots.split_last().unwrap();
        for (local, &slot) in (0..).zip(part) {
            keyed.keys.set_local(slot, local);
        }
        let mut due = Vec::new();
        keyed.for_each_due_in_call(time, |at, local| due.push((at, &keys[local as usize])));
        due.sort();
        due.dedup();
        let is_due = |(is_event, at, key): &&(bool, i64, Vec<u8>)| {
            *is_event && *at <= time && keys[..part.len()].contains(key)
        };
        let expected = self.model.timers.iter().filter(is_due).map(|(_, at, key)| (*at, key));
        assert_eq!(due, Vec::from_iter(expected));
    }

    /// Fires what is due, in calls of at most so many timers and of each key one.
    pub(super) fn fire(&mut self, is_event: bool, time: i64, most: usize) {
        for partition in 0..self.partitions.len() {
            let groups = self.partitions[partition].groups.clone();
            let is_due = |(domain, at, key): &&(bool, i64, Vec<u8>)| {
                *domain == is_event && *at <= time && is_among(&groups, key)
            };
            let expected: BTreeSet<_> = self.model.timers.iter().filter(is_due).cloned().collect();
            self.model.timers.retain(|timer| !expected.contains(timer));
            let mut fired = Vec::new();
            loop {
                let (slots, timers) =
                    take_due(&mut self.partitions[partition], is_event, time, most);
                if slots.is_empty() {
                    break;
                }
                self.partitions[partition].keyed.load(&slots).unwrap();
                let keys: Vec<Vec<u8>> = timers.iter().map(|(_, key)| key.clone()).collect();
                self.settle(partition, &keys, &slots);
                self.partitions[partition].leave();
                fired.extend(timers);
            }
            assert!(fired.is_sorted_by_key(|(at, _)| *at), "{fired:?}");
            let fired: Vec<_> = fired.into_iter().map(|(at, key)| (is_event, at, key)).collect();
            let once: BTreeSet<_> = fired.iter().cloned().collect();
            assert_eq!((fired.len(), once), (expected.len(), expected));
        }
    }
}

/// Takes the earliest timers, as an operator does before it calls its function.
fn take_due(
    partition: &mut Partition,
    is_event: bool,
    time: i64,
    most: usize,
) -> (Vec<Slot>, Vec<(i64, Vec<u8>)>) {
    let (keyed, domain) = (&mut partition.keyed, domain(is_event));
    let (mut slots, mut timers) = (Vec::new(), Vec::new());
    keyed.keys.begin_call();
    while slots.len() < most {
        let Some((at, slot)) = keyed.first_due(domain, time) else { break };
        if keyed.keys.local(slot).is_some() {
            break;
        }
        keyed.keys.set_local(slot, 0);
        keyed.delete_timer(domain, slot, at);
        timers.push((at, keyed.keys.key(slot).to_vec()));
        slots.push(slot);
    }
    (slots, timers)
}

/// The key of a timer of [`a_million_timers`].
fn key_of(timer: u64) -> Vec<u8> {
    format!("user-{}", timer % 300_000).into_bytes()
}

/// Its time, within 28 hours and not in order.
fn time_of(timer: u64) -> i64 {
    (timer * 48_271 % 99_999_989) as i64
}

/// Does something with timers of keys, a batch of a thousand at a time.
fn for_each_timer(
    partition: &mut Partition,
    timers: &[u64],
    act: impl Fn(&mut KeyedState, Slot, i64),
) {
    for timers in timers.chunks(1_000) {
        let keys: Vec<Vec<u8>> = timers.iter().map(|&timer| key_of(timer)).collect();
        let slots = partition.enter(&keys);
        for (&timer, &slot) in timers.iter().zip(&slots) {
            act(&mut partition.keyed, slot, time_of(timer));
        }
        partition.leave();
    }
}

fn a_million_timers(from: Backend, to: Backend) {
    const ALL: Range<u32> = 0..GROUPS;
    let disk = Disk::new();
    let states = states().into_iter().take(1).collect();
    let declared = Declared { states, is_reversed: false };
    let stamps = Stamps { watermark: 0, processing: 0 };
    let mut partition = Partition::restore(&disk, &declared, from, ALL, &[], stamps);
    let timers: Vec<u64> = (0..1_000_000).collect();
    for_each_timer(&mut partition, &timers, |keyed, slot, time| {
        keyed.register_timer(TimeDomain::Event, slot, time);
    });
    assert_eq!(partition.keyed.timers(TimeDomain::Event).len(), 1_000_000);
    let (deleted, left): (Vec<u64>, Vec<u64>) =
        timers.into_iter().partition(|timer| timer % 3 == 1);
    for_each_timer(&mut partition, &deleted, |keyed, slot, time| {
        keyed.delete_timer(TimeDomain::Event, slot, time);
    });
    let mut copying = partition.begin(SnapshotForm::Native);
    // While it is taken timers fire, a thousand between two steps.
    while !partition.advance(&mut copying) {
        let (slots, _) = take_due(&mut partition, true, i64::MAX, 1_000);
        partition.keyed.load(&slots).unwrap();
        partition.leave();
    }
    drop(partition);
    let images = [copying.finish()];
    let mut partition = Partition::restore(&disk, &declared, to, ALL, &images, stamps);
    assert_eq!(partition.keyed.timers(TimeDomain::Event).len(), left.len());
    let mut fired = Vec::new();
    loop {
        let (slots, timers) = take_due(&mut partition, true, i64::MAX, 1_024);
        if slots.is_empty() {
            break;
        }
        partition.keyed.load(&slots).unwrap();
        partition.leave();
        fired.extend(timers);
    }
    let mut expected: Vec<_> = left.iter().map(|&timer| (time_of(timer), key_of(timer))).collect();
    expected.sort();
    assert!(fired.is_sorted_by_key(|(time, _)| *time));
    fired.sort();
    assert!(fired == expected, "{} of {} timers", fired.len(), expected.len());
}

#[test]
fn a_million_timers_fire_in_order_after_a_crash_on_the_heap() {
    a_million_timers(Backend::HashMap, Backend::HashMap);
}

#[test]
fn a_million_timers_fire_in_order_after_a_crash_on_rocksdb() {
    a_million_timers(Backend::RocksDb(1 << 20), Backend::RocksDb(1 << 20));
}
