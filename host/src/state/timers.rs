//! The pending timers of a partition in one time domain.
//!
//! Two structures: a set that holds the truth (which key has a timer at which time), and a calendar
//! that holds hints in order of time. Deleting a timer leaves its hint behind; a hint without its
//! timer is passed over. The calendar's pages are a second long: a push appends to a page, and a
//! page is sorted when its time comes.

use std::collections::{BTreeMap, BTreeSet};

use smallvec::SmallVec;

use super::Slot;

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

#[derive(Debug, Default)]
struct Page {
    hints: Vec<Timer>,
    /// Whether the hints are in descending order, so that the earliest is the last.
    sorted: bool,
    /// With so many hints the page is cleared of those whose timers are gone. A timer that is moved
    /// again and again, as a session's end, would otherwise leave hints without end.
    cleared_at: usize,
}

/// A page is not cleared before it has so many hints.
const CLEARED_AT_MIN: usize = 64;

impl Page {
    fn sort(&mut self) {
        if !self.sorted {
            self.hints.sort_unstable_by(|a, b| b.cmp(a));
            // A timer that was deleted and registered again has two hints.
            self.hints.dedup();
            self.sorted = true;
        }
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
        let page = self.pages.entry(timestamp >> PAGE_SHIFT).or_default();
        page.sorted = false;
        page.hints.push((timestamp, slot));
        if page.hints.len() > page.cleared_at.max(CLEARED_AT_MIN) {
            page.sort();
            page.hints.retain(|hint| is_registered(&self.by_slot, *hint));
            page.cleared_at = 2 * page.hints.len();
        }
        true
    }

    /// Deletes a timer. Returns whether it was there.
    pub fn delete(&mut self, slot: Slot, timestamp: i64) -> bool {
        let removed =
            self.by_slot.get_mut(slot.index()).is_some_and(|times| times.remove(timestamp));
        self.len -= usize::from(removed);
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

    /// The earliest timer, by time and then by slot. It stays.
    pub fn first(&mut self) -> Option<Timer> {
        loop {
            let mut entry = self.pages.first_entry()?;
            let page = entry.get_mut();
            page.sort();
            while let Some(&hint) = page.hints.last() {
                if is_registered(&self.by_slot, hint) {
                    return Some(hint);
                }
                page.hints.pop();
            }
            entry.remove();
        }
    }

    /// Calls `visit` with each timer due at `time`, in no certain order across pages' ends. They
    /// stay.
    pub fn for_each_due(&mut self, time: i64, mut visit: impl FnMut(i64, Slot)) {
        for (_, page) in self.pages.range_mut(..=time >> PAGE_SHIFT) {
            page.sort();
            let due = page.hints.iter().rev().take_while(|(timestamp, _)| *timestamp <= time);
            for &hint in due {
                if is_registered(&self.by_slot, hint) {
                    visit(hint.0, hint.1);
                }
            }
        }
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
        assert_eq!((timers.len(), timers.first()), (1, Some((1, Slot(0)))));
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
                        prop_assert_eq!(timers.first(), model.first().copied());
                        if let Some(first) = model.pop_first() {
                            prop_assert!(timers.delete(first.1, first.0));
                        }
                    }
                    3 => {
                        let mut due = BTreeSet::new();
                        timers.for_each_due(timestamp, |at, slot| { due.insert((at, slot)); });
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
