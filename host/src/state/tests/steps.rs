//! The random steps that partitions and their model take together.

use std::ops::RangeInclusive;

use proptest::collection::vec;
use proptest::prelude::*;

use super::cluster::Cluster;
use super::content::Change;
use super::partition::Backend;
use crate::model::TIME_END;
use crate::state::SnapshotForm;

/// Keys that meet often. Those from here on come from [`Step::Fill`].
pub(super) const FEW_KEYS: u16 = 12;

/// More keys than three steps of a snapshot pass over.
pub(super) const MANY_KEYS: u16 = 3500;

/// How many states there are.
pub(super) const STATES: usize = 5;

/// A key: one is empty, some are the beginning of others, some do not fit in place.
pub(super) fn key_of(number: u16) -> Vec<u8> {
    match number {
        ..6 => vec![0; number.into()],
        6..9 => vec![255; number.into()],
        9..FEW_KEYS => vec![number as u8; 60],
        _ => format!("key-{number}").into_bytes(),
    }
}

/// What a function does with some keys in one call.
#[derive(Debug, Clone, Default)]
pub(super) struct Call {
    /// Keys of records, some of them more than once.
    pub(super) keys: Vec<u16>,
    /// By index of the key, modulo how many there are, and state.
    pub(super) changes: Vec<(usize, usize, Change)>,
    pub(super) timers: Vec<TimerChange>,
    /// How far the event time of the records is from the watermark; none if they have none.
    pub(super) ahead: Option<i64>,
}

/// Registers or deletes a timer.
#[derive(Debug, Clone, Copy)]
pub(super) struct TimerChange {
    /// Index of the key, modulo how many there are.
    pub(super) key: usize,
    pub(super) is_event: bool,
    pub(super) time: i64,
    pub(super) is_deleted: bool,
}

/// One step.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Call(Call),
    /// So many keys get a value and a timer.
    Fill(u16),
    /// Fires the timers of a domain up to a time, so many in a call.
    Fire(bool, i64, usize),
    /// Event time and processing time go on.
    Clocks(i64, i64),
    /// The input ends.
    End,
    /// Looks at so many keys for what has expired.
    CleanUp(usize),
    Compact,
    /// Begins a checkpoint, unless one is under way.
    Begin(SnapshotForm),
    /// Goes on with it, so often.
    Advance(usize),
    /// Goes on from the last complete checkpoint.
    Crash(Crash),
}

/// What the job is after a crash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Crash {
    pub(super) backend: Backend,
    pub(super) parallelism: u32,
    pub(super) is_reversed: bool,
}

/// A backend. The smallest caches hold no key, one, and some.
pub(super) fn backend() -> impl Strategy<Value = Backend> {
    let budget = prop_oneof![Just(0), Just(300), Just(2_000), Just(1 << 20)];
    prop_oneof![Just(Backend::HashMap), budget.prop_map(Backend::RocksDb)]
}

fn crash(parallelism: RangeInclusive<u32>) -> impl Strategy<Value = Crash> {
    (backend(), parallelism, prop::bool::weighted(0.2))
        .prop_map(|(backend, parallelism, is_reversed)| Crash { backend, parallelism, is_reversed })
}

/// Values on both sides of what fits in place, and some as large as a step of a snapshot.
fn value() -> impl Strategy<Value = Vec<u8>> {
    let large = (any::<u8>(), prop_oneof![500..3_000_usize, Just(130_000)]);
    prop_oneof![
        20 => vec(any::<u8>(), 0..40),
        1 => large.prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let map_key = || (0..5_u16).prop_map(key_of);
    prop_oneof![
        1 => Just(Change::Clear),
        6 => (map_key(), value()).prop_map(|(key, value)| Change::Put(key, value)),
        3 => map_key().prop_map(Change::Remove),
    ]
}

fn timer_change() -> impl Strategy<Value = TimerChange> {
    // Few times, so that they meet; some in other pages of the calendar.
    let time =
        prop_oneof![8 => -2..4_i64, 2 => 4..30_i64, 1 => -5_000..5_000_i64, 1 => Just(i64::MAX)];
    (any::<usize>(), any::<bool>(), time, prop::bool::weighted(0.3)).prop_map(
        |(key, is_event, time, is_deleted)| TimerChange { key, is_event, time, is_deleted },
    )
}

fn call() -> impl Strategy<Value = Call> {
    let key = prop_oneof![6 => 0..FEW_KEYS, 1 => FEW_KEYS..MANY_KEYS];
    let change = (any::<usize>(), 0..STATES, change());
    (
        vec(key, 1..10),
        vec(change, 0..20),
        vec(timer_change(), 0..12),
        prop::option::weighted(0.9, -25..15_i64),
    )
        .prop_map(|(keys, changes, timers, ahead)| Call { keys, changes, timers, ahead })
}

pub(super) fn form() -> impl Strategy<Value = SnapshotForm> {
    prop_oneof![Just(SnapshotForm::Native), Just(SnapshotForm::Canonical)]
}

fn step(parallelism: RangeInclusive<u32>) -> impl Strategy<Value = Step> {
    let fire = (any::<bool>(), prop_oneof![-3..30_i64, Just(TIME_END)], 1..5_usize);
    prop_oneof![
        24 => call().prop_map(Step::Call),
        1 => prop_oneof![Just(40), Just(MANY_KEYS - FEW_KEYS)].prop_map(Step::Fill),
        4 => fire.prop_map(|(is_event, time, most)| Step::Fire(is_event, time, most)),
        6 => (0..12_i64, 0..12_i64).prop_map(|(event, processing)| Step::Clocks(event, processing)),
        1 => Just(Step::End),
        3 => prop_oneof![0..5_usize, Just(usize::MAX)].prop_map(Step::CleanUp),
        2 => Just(Step::Compact),
        6 => form().prop_map(Step::Begin),
        6 => (1..3_usize).prop_map(Step::Advance),
        3 => crash(parallelism).prop_map(Step::Crash),
    ]
}

/// Mostly one step; sometimes a checkpoint during which time goes on and stores are compacted.
fn steps(parallelism: RangeInclusive<u32>) -> impl Strategy<Value = Vec<Step>> {
    let during = (form(), 1..25_i64, 1..25_i64, call()).prop_map(|(form, event, now, call)| {
        let time = Step::Clocks(event, now);
        let all = [Step::Begin(form), time, Step::Call(call), Step::Compact, Step::Advance(9)];
        all.into()
    });
    prop_oneof![30 => step(parallelism).prop_map(|step| vec![step]), 1 => during]
}

/// What the job is at first, the steps that it takes, and what it goes on as in the end.
pub(super) fn story(
    parallelism: RangeInclusive<u32>,
) -> impl Strategy<Value = (Crash, Vec<Step>, Crash)> {
    let steps = vec(steps(parallelism.clone()), 1..60).prop_map(|steps| steps.concat());
    (crash(parallelism.clone()), steps, crash(parallelism))
}

impl Cluster<'_> {
    /// Takes a step.
    pub(super) fn take(&mut self, step: Step) {
        match step {
            Step::Call(call) => self.call(&call),
            Step::Fill(keys) => self.fill(keys),
            Step::Fire(is_event, time, most) => self.fire(is_event, time, most),
            Step::Clocks(event, processing) => self.go_on(event, processing),
            Step::End => self.end(),
            Step::CleanUp(records) => self.clean_up(records),
            Step::Compact => self.compact(),
            Step::Begin(form) => self.begin(form),
            Step::Advance(times) => (0..times).for_each(|_| self.advance()),
            Step::Crash(crash) => self.crash(crash),
        }
    }

    fn fill(&mut self, keys: u16) {
        let keys: Vec<u16> = (FEW_KEYS..FEW_KEYS + keys).collect();
        for keys in keys.chunks(500) {
            let changes = keys.iter().enumerate().map(|(index, key)| {
                let value = key.to_le_bytes().to_vec();
                (index, usize::from(*key) % STATES, Change::Put(vec![1], value))
            });
            let timers = keys.iter().enumerate().map(|(index, key)| TimerChange {
                key: index,
                is_event: true,
                time: i64::from(*key) * 10,
                is_deleted: false,
            });
            self.call(&Call {
                keys: keys.to_vec(),
                changes: changes.collect(),
                timers: timers.step_by(3).collect(),
                ahead: Some(0),
            });
        }
    }
}
