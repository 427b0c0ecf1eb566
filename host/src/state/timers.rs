//! The pending timers of a partition in one time domain.
//!
//! Two structures: a set that holds the truth (which key has a timer at which time), and a calendar
//! that holds hints. Deleting a timer leaves its hint behind; a hint without its timer is passed
//! over. The calendar's pages are a second long: a push appends to a page, and a page is put in
//! order of time when its time has come. Who asks says up to when, so that nothing is put in order
//! for a question that only the page's earliest time decides.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::Slot;
use super::key_table::{AHEAD, prefetch};

/// A page of the calendar spans `1 << PAGE_SHIFT` milliseconds.
const PAGE_SHIFT: u32 = 10;

/// A timer: when, and whose.
type Timer = (i64, Slot);

/// Timers by key and time, at most one for each pair.
#[derive(Debug, Default)]
pub struct Timers {
    by_slot: Vec<Times>,
    pages: BTreeMap<i64, Page>,
    len: usize,
}

/// The times of one key's timers. Nearly all keys have one or two.
#[derive(Debug)]
enum Times {
    Few(SmallVec<[i64; 2]>),
    Many(BTreeSet<i64>),
}

/// With more timers than that a key's times are worth a tree.
const FEW_MAX: usize = 16;

impl Default for Times {
    fn default() -> Self {
        Self::Few(SmallVec::new())
    }
}

impl Times {
    fn len(&self) -> usize {
        match self {
            Self::Few(times) => times.len(),
            Self::Many(times) => times.len(),
        }
    }

    fn contains(&self, time: i64) -> bool {
        match self {
            Self::Few(times) => times.contains(&time),
            Self::Many(times) => times.contains(&time),
        }
    }

    fn insert(&mut self, time: i64) -> bool {
        match self {
            Self::Few(times) if times.contains(&time) => false,
            Self::Few(times) if times.len() < FEW_MAX => {
                times.push(time);
                true
            }
            Self::Few(times) => {
                *self = Self::Many(times.drain(..).chain([time]).collect());
                true
            }
            Self::Many(times) => times.insert(time),
        }
    }

    fn remove(&mut self, time: i64) -> bool {
        match self {
            Self::Few(times) => {
                let place = times.iter().position(|&other| other == time);
                place.map(|place| times.swap_remove(place)).is_some()
            }
            Self::Many(times) => {
                let removed = times.remove(&time);
                if times.is_empty() {
                    *self = Self::default();
                }
                removed
            }
        }
    }
}

#[derive(Debug)]
struct Page {
    hints: Vec<Timer>,
    /// Nothing is left of the hints before this one.
    next: usize,
    /// Whether those from there on are in order of time. Timers of one time are in the order in
    /// which they were registered.
    is_sorted: bool,
    /// None of those is earlier.
    earliest: i64,
    /// How many timers there are on this page.
    timers: usize,
}

/// A page with more hints than that, and more than twice its timers, is cleared of the rest. A
/// timer that is moved again and again, as a session's end, would otherwise leave hints without
/// end.
const CLEARED_AT_MIN: usize = 64;

impl Page {
    fn new() -> Self {
        Self { hints: Vec::new(), next: 0, is_sorted: true, earliest: i64::MAX, timers: 0 }
    }

    fn push(&mut self, timer: Timer) {
        self.is_sorted &= self.hints.last().is_none_or(|last| last.0 <= timer.0);
        self.earliest = self.earliest.min(timer.0);
        self.hints.push(timer);
        self.timers += 1;
    }

    fn is_cluttered(&self) -> bool {
        self.hints.len() > CLEARED_AT_MIN.max(2 * self.timers)
    }

    /// Drops the hints whose timers are gone, and all but one of a timer that was deleted and
    /// registered again.
    fn clear(&mut self, by_slot: &[Times]) {
        self.hints.drain(..std::mem::take(&mut self.next));
        self.hints.retain(|hint| is_registered(by_slot, *hint));
        self.hints.sort_unstable();
        self.hints.dedup();
        self.is_sorted = true;
    }

    fn sort(&mut self) {
        if !std::mem::replace(&mut self.is_sorted, true) {
            self.hints[self.next..].sort_by_key(|(timestamp, _)| *timestamp);
        }
    }

    /// The hints up to a time, in order.
    fn up_to(&mut self, time: i64) -> &[Timer] {
        if self.earliest > time {
            return &[];
        }
        self.sort();
        let left = &self.hints[self.next..];
        &left[..left.partition_point(|(timestamp, _)| *timestamp <= time)]
    }
}

impl Timers {
    /// Registers a timer. Returns whether it is new.
    pub fn register(&mut self, slot: Slot, timestamp: i64) -> bool {
        if self.by_slot.len() <= slot.index() {
            self.by_slot.resize_with(slot.index() + 1, Times::default);
        }
        if !self.by_slot[slot.index()].insert(timestamp) {
            return false;
        }
        self.len += 1;
        let page = self.pages.entry(timestamp >> PAGE_SHIFT).or_insert_with(Page::new);
        page.push((timestamp, slot));
        if page.is_cluttered() {
            page.clear(&self.by_slot);
        }
        true
    }

    /// Deletes a timer. Returns whether it was there.
    pub fn delete(&mut self, slot: Slot, timestamp: i64) -> bool {
        let removed =
            self.by_slot.get_mut(slot.index()).is_some_and(|times| times.remove(timestamp));
        if removed {
            self.len -= 1;
            let number = timestamp >> PAGE_SHIFT;
            let page = self.pages.get_mut(&number).expect("a timer is on its page");
            page.timers -= 1;
            if page.timers == 0 {
                self.pages.remove(&number);
            }
        }
        removed
    }

    /// How many timers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many timers a key has.
    pub fn count(&self, slot: Slot) -> usize {
        self.by_slot.get(slot.index()).map_or(0, Times::len)
    }

    /// Whether a key has a timer at that time.
    pub fn contains(&self, slot: Slot, timestamp: i64) -> bool {
        is_registered(&self.by_slot, (timestamp, slot))
    }

    /// Calls `visit` with the time of each timer of a key, in no certain order.
    pub fn for_each_of(&self, slot: Slot, mut visit: impl FnMut(i64)) {
        match self.by_slot.get(slot.index()) {
            None => {}
            Some(Times::Few(times)) => times.iter().for_each(|&time| visit(time)),
            Some(Times::Many(times)) => times.iter().for_each(|&time| visit(time)),
        }
    }

    /// The earliest timer that is due at `time`. It stays.
    pub fn first_due(&mut self, time: i64) -> Option<Timer> {
        let page = self.pages.values_mut().next()?;
        if page.earliest > time {
            return None;
        }
        page.sort();
        // On each page is a timer, and of each timer a hint that has not been passed.
        while !is_registered(&self.by_slot, page.hints[page.next]) {
            page.next += 1;
        }
        let first = page.hints[page.next];
        page.earliest = first.0;
        (first.0 <= time).then_some(first)
    }

    /// Whose timer is likely to be the first some turns after the one that is.
    #[inline]
    pub(super) fn ahead(&self) -> Option<Slot> {
        let page = self.pages.values().next()?;
        page.hints.get(page.next + AHEAD).map(|(_, slot)| *slot)
    }

    /// Calls `visit` with each timer due at `time`, in no certain order across pages' ends, and
    /// with some twice. They stay. Says some turns ahead whose it will be.
    pub fn for_each_due(
        &mut self,
        time: i64,
        later: impl Fn(Slot),
        mut visit: impl FnMut(i64, Slot),
    ) {
        for (_, page) in self.pages.range_mut(..=time >> PAGE_SHIFT) {
            let due = page.up_to(time);
            for (place, &hint) in due.iter().enumerate() {
                if let Some((_, slot)) = due.get(place + AHEAD) {
                    prefetch_times(&self.by_slot, *slot);
                    later(*slot);
                }
                if is_registered(&self.by_slot, hint) {
                    visit(hint.0, hint.1);
                }
            }
        }
    }

    /// Starts to bring the times of a key into the cache.
    #[inline]
    pub(super) fn prefetch(&self, slot: Slot) {
        prefetch_times(&self.by_slot, slot);
    }
}

#[inline]
fn prefetch_times(by_slot: &[Times], slot: Slot) {
    if let Some(times) = by_slot.get(slot.index()) {
        prefetch(times);
    }
}

fn is_registered(by_slot: &[Times], (timestamp, slot): Timer) -> bool {
    by_slot.get(slot.index()).is_some_and(|times| times.contains(timestamp))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timer_that_keeps_moving_leaves_no_hints() {
        let mut timers = Timers::default();
        timers.register(Slot(0), 1);
        for turn in 0..100_000 {
            let end = 1_000_000 + turn % 1000;
            timers.register(Slot(1), end);
            assert!(timers.delete(Slot(1), end));
        }
        assert_eq!((timers.len(), timers.first_due(i64::MAX)), (1, Some((1, Slot(0)))));
        let hints: usize = timers.pages.values().map(|page| page.hints.len()).sum();
        assert!(hints <= 4 * CLEARED_AT_MIN, "{hints} hints");
    }

    proptest! {
        #[test]
        fn fires_in_order_and_once(
            changes in prop::collection::vec((0_u8..12, 0_u32..5, -3_000_i64..3_000), 0..500)
        ) {
            let (mut timers, mut model) = (Timers::default(), BTreeSet::new());
            for (choice, slot, timestamp) in changes {
                let timer = (timestamp, Slot(slot));
                match choice {
                    0 | 1 => {
                        prop_assert_eq!(timers.delete(timer.1, timestamp), model.remove(&timer));
                    }
                    2 => {
                        let first = timers.first_due(timestamp);
                        let earliest: Option<&Timer> = model.first();
                        let expected = earliest.filter(|first| first.0 <= timestamp);
                        prop_assert_eq!(first.map(|first| first.0), expected.map(|one| one.0));
                        if let Some(first) = first {
                            prop_assert!(model.remove(&first) && timers.delete(first.1, first.0));
                        }
                    }
                    3 => {
                        let mut due = BTreeSet::new();
                        let visit = |at, slot| { due.insert((at, slot)); };
                        timers.for_each_due(timestamp, |_| {}, visit);
                        let expected = model.range(..=(timestamp, Slot(u32::MAX))).copied();
                        prop_assert_eq!(due, expected.collect::<BTreeSet<_>>());
                    }
                    _ => prop_assert_eq!(timers.register(timer.1, timestamp), model.insert(timer)),
                }
                prop_assert_eq!(timers.len(), model.len());
                let count = model.iter().filter(|other| other.1 == timer.1).count();
                prop_assert_eq!(timers.count(timer.1), count);
                prop_assert_eq!(timers.contains(timer.1, timestamp), model.contains(&timer));
                let mut times = BTreeSet::new();
                timers.for_each_of(timer.1, |time| assert!(times.insert(time)));
                let expected = model.iter().filter(|other| other.1 == timer.1);
                prop_assert_eq!(times, expected.map(|other| other.0).collect::<BTreeSet<_>>());
            }
        }
    }
}
