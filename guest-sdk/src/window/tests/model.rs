//! Windows as Flink's documentation tells them: keeps every record, looks at everything each time.

use std::collections::BTreeMap;

use super::TimeWindow;

/// Settings in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Tumbling where the slide is the size.
    Sliding {
        size: i64,
        slide: i64,
        offset: i64,
    },
    Session {
        gap: i64,
    },
}

/// Windows of all keys.
#[derive(Debug)]
pub(super) struct Model {
    pub(super) kind: Kind,
    pub(super) lateness: i64,
    pub(super) is_processing: bool,
    /// The watermark, or the clock.
    pub(super) now: i64,
    windows: BTreeMap<(String, TimeWindow), Vec<i64>>,
    pub(super) output: Vec<String>,
    pub(super) late: Vec<String>,
}

impl Model {
    pub(super) fn new(kind: Kind, lateness: i64, is_processing: bool) -> Self {
        let now = if is_processing { 0 } else { i64::MIN };
        let windows = BTreeMap::new();
        Self { kind, lateness, is_processing, now, windows, output: Vec::new(), late: Vec::new() }
    }

    pub(super) fn record(&mut self, key: &str, record: &str, number: i64, time: i64) {
        let time = if self.is_processing { self.now } else { time };
        let mut is_skipped = true;
        for window in self.windows_of(time) {
            let merged = self.merged_with(key, window);
            let window = merged.iter().fold(window, |a, b| TimeWindow {
                start: a.start.min(b.start),
                end: a.end.max(b.end),
            });
            if self.cleanup_time(window) <= self.now {
                continue;
            }
            is_skipped = false;
            let mut numbers: Vec<i64> = merged
                .iter()
                .flat_map(|old| self.windows.remove(&(key.to_owned(), *old)).unwrap())
                .collect();
            numbers.push(number);
            self.windows.insert((key.to_owned(), window), numbers);
            if self.fire_time(window) <= self.now {
                self.fire(key, window);
            }
        }
        let is_late = !self.is_processing && time + self.lateness <= self.now;
        if is_skipped && is_late {
            self.late.push(record.to_owned());
        }
    }

    /// Moves the watermark or the clock to `now`.
    pub(super) fn advance(&mut self, now: i64) {
        let before = std::mem::replace(&mut self.now, now);
        let passes = |time: i64| before < time && time <= now;
        let mut due: Vec<(i64, String, TimeWindow)> = self
            .windows
            .keys()
            .map(|(key, window)| (self.fire_time(*window), key.clone(), *window))
            .filter(|(time, ..)| passes(*time))
            .collect();
        due.sort();
        due.iter().for_each(|(_, key, window)| self.fire(key, *window));
        let over = |window: &TimeWindow| self.cleanup_time(*window) <= now;
        let kept = self.windows.iter().filter(|((_, window), _)| !over(window));
        self.windows = kept.map(|(key, numbers)| (key.clone(), numbers.clone())).collect();
    }

    /// The windows of a key with their numbers.
    pub(super) fn windows(&self, key: &str) -> Vec<(TimeWindow, Vec<i64>)> {
        let of_key = self.windows.iter().filter(|((of, _), _)| of == key);
        let sorted = |numbers: &Vec<i64>| {
            let mut numbers = numbers.clone();
            numbers.sort_unstable();
            numbers
        };
        of_key.map(|((_, window), numbers)| (*window, sorted(numbers))).collect()
    }

    /// When something happens to the windows of a key, ascending.
    pub(super) fn timers(&self, key: &str) -> Vec<i64> {
        let time = |(window, _): (TimeWindow, _)| match self.fire_time(window) {
            time if time > self.now => time,
            _ => self.cleanup_time(window),
        };
        let mut timers: Vec<i64> = self.windows(key).into_iter().map(time).collect();
        timers.sort_unstable();
        timers.dedup();
        timers
    }

    fn fire_time(&self, window: TimeWindow) -> i64 {
        if self.is_processing { window.end } else { window.end - 1 }
    }

    fn cleanup_time(&self, window: TimeWindow) -> i64 {
        self.fire_time(window) + self.lateness
    }

    /// Every window that has `time` in it, the latest first; a session of its own.
    fn windows_of(&self, time: i64) -> Vec<TimeWindow> {
        match self.kind {
            Kind::Session { gap } => vec![TimeWindow { start: time, end: time + gap }],
            Kind::Sliding { size, slide, offset } => (time - size + 1..=time)
                .rev()
                .filter(|start| (start - offset).rem_euclid(slide) == 0)
                .map(|start| TimeWindow { start, end: start + size })
                .collect(),
        }
    }

    /// The windows that a new one takes in: itself, or the sessions that it touches.
    fn merged_with(&self, key: &str, new: TimeWindow) -> Vec<TimeWindow> {
        let of_key = self.windows.keys().filter(|(of, _)| of == key).map(|(_, window)| *window);
        let takes_in = |old: &TimeWindow| match self.kind {
            Kind::Session { .. } => old.start <= new.end && new.start <= old.end,
            Kind::Sliding { .. } => *old == new,
        };
        of_key.filter(takes_in).collect()
    }

    fn fire(&mut self, key: &str, window: TimeWindow) {
        let mut numbers = self.windows[&(key.to_owned(), window)].clone();
        numbers.sort_unstable();
        self.output.push(format!("{key} {} {} {numbers:?}", window.start, window.end));
    }
}
