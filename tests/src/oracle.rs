//! What the examples must put out: plain folds over the input, in one thread, without wasm, written
//! apart from the engine and from the functions.
//!
//! Event time: a record is processed; then the watermark rises to the highest timestamp so far,
//! less the delay, less 1; then all timers up to it fire in the order of their times, those
//! included that were registered for a time already past. At the end of the input all timers that
//! are left fire.

use std::collections::{BTreeSet, HashMap, HashSet};

/// A line of output and the key it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub key: String,
    pub text: String,
}

impl Line {
    fn new(key: &str, text: String) -> Self {
        Self { key: key.to_owned(), text }
    }
}

/// A click as the functions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub key: String,
    /// Milliseconds.
    pub time: i64,
}

/// Reads lines `user,url,timestamp_ms` without quotes; field `key` is the key.
pub fn events<L: AsRef<str>>(lines: impl IntoIterator<Item = L>, key: usize) -> Vec<Event> {
    let event = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        Event { key: fields[key].to_owned(), time: fields[2].parse().expect("a timestamp") }
    };
    lines.into_iter().map(|line| event(line.as_ref())).collect()
}

/// Event time and the timers that wait for it.
struct EventTime {
    delay: i64,
    watermark: i64,
    timers: BTreeSet<(i64, String)>,
}

impl EventTime {
    fn new(delay: i64) -> Self {
        Self { delay, watermark: i64::MIN, timers: BTreeSet::new() }
    }

    fn register(&mut self, time: i64, key: &str) {
        self.timers.insert((time, key.to_owned()));
    }

    fn saw(&mut self, time: i64) {
        self.watermark = self.watermark.max(time - self.delay - 1);
    }

    fn end(&mut self) {
        self.watermark = i64::MAX;
    }

    fn next_due(&mut self) -> Option<(i64, String)> {
        let is_due = self.timers.first().is_some_and(|(time, _)| *time <= self.watermark);
        if is_due { self.timers.pop_first() } else { None }
    }
}

/// `periodic-pv`: the count so far of each key, `period` after the first event since the last
/// output.
pub fn periodic_pv(events: &[Event], period: i64, delay: i64) -> Vec<Line> {
    let mut time = EventTime::new(delay);
    let mut counts: HashMap<String, u64> = HashMap::new();
    let mut waiting: HashSet<String> = HashSet::new();
    let mut out = Vec::new();
    for event in events.iter().map(Some).chain([None]) {
        match event {
            Some(Event { key, time: at }) => {
                *counts.entry(key.clone()).or_default() += 1;
                if waiting.insert(key.clone()) {
                    time.register(at + period, key);
                }
                time.saw(*at);
            }
            None => time.end(),
        }
        while let Some((_, key)) = time.next_due() {
            out.push(Line::new(&key, format!("{key} pv: {}", counts[&key])));
            waiting.remove(&key);
        }
    }
    out
}

/// `fake-window`: the count of each key in each window of `size`. A late event makes a window of
/// its own.
pub fn fake_window(events: &[Event], size: i64, delay: i64) -> Vec<Line> {
    let mut time = EventTime::new(delay);
    let mut counts: HashMap<(String, i64), u64> = HashMap::new();
    let mut out = Vec::new();
    for event in events.iter().map(Some).chain([None]) {
        match event {
            Some(Event { key, time: at }) => {
                let start = at.div_euclid(size) * size;
                *counts.entry((key.clone(), start)).or_default() += 1;
                time.register(start + size - 1, key);
                time.saw(*at);
            }
            None => time.end(),
        }
        while let Some((last, key)) = time.next_due() {
            let (start, end) = (last + 1 - size, last + 1);
            let count = counts.remove(&(key.clone(), start)).expect("a timer has a window");
            out.push(Line::new(&key, format!("{},{count},{start},{end}", csv_field(&key))));
        }
    }
    out
}

/// `avg-ts`: the mean timestamp of every `count` events of a key.
pub fn avg_ts(events: &[Event], count: usize) -> Vec<Line> {
    let mut times: HashMap<&str, Vec<i64>> = HashMap::new();
    let mut out = Vec::new();
    for Event { key, time } in events {
        let times = times.entry(key).or_default();
        times.push(*time);
        if times.len() == count {
            let mean = times.drain(..).map(i128::from).sum::<i128>() / count as i128;
            out.push(Line::new(key, format!("{},{mean}", csv_field(key))));
        }
    }
    out
}

/// `temp-alert`, in both forms, over lines `id,unix_seconds,temperature`.
pub fn temp_alert<L: AsRef<str>>(lines: impl IntoIterator<Item = L>, threshold: f64) -> Vec<Line> {
    let mut last: HashMap<String, f64> = HashMap::new();
    let mut out = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.as_ref().split(',').map(str::trim).collect();
        let (id, now) = (fields[0], fields[2].parse::<f64>().expect("a temperature"));
        if let Some(before) = last.insert(id.to_owned(), now)
            && (now - before).abs() > threshold
        {
            out.push(Line::new(id, format!("{id},{before:?},{now:?}")));
        }
    }
    out
}

/// The guests `count`, `trap` and so on: the number of records of the key so far, for each record.
pub fn count<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Vec<Line> {
    let mut counts: HashMap<String, u64> = HashMap::new();
    let line = |key: K| {
        let key = key.as_ref();
        let count = counts.entry(key.to_owned()).or_default();
        *count += 1;
        Line::new(key, format!("{key},{count}"))
    };
    keys.into_iter().map(line).collect()
}

/// A text as a CSV field.
pub fn csv_field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clicks(lines: &[&str]) -> Vec<Event> {
        events(lines, 0)
    }

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| line.text.as_str()).collect()
    }

    #[test]
    fn periods_begin_with_the_first_event_after_an_output() {
        let events = clicks(&["a,/,1000", "b,/,2000", "a,/,10999", "a,/,11001", "a,/,11002"]);
        // The watermark reaches 11000 with the event at 11001, which is counted before the timer.
        let lines = periodic_pv(&events, 10_000, 0);
        assert_eq!(texts(&lines), ["a pv: 3", "b pv: 1", "a pv: 4"]);
    }

    #[test]
    fn windows_end_when_the_watermark_passes() {
        let events = clicks(&["a,/,-1", "a,/,0", "a,/,10000", "a,/,9999", "a,/,10500"]);
        let early = ["a,1,-10000,0", "a,1,0,10000", "a,1,0,10000", "a,2,10000,20000"];
        assert_eq!(texts(&fake_window(&events, 10_000, 0)), early);
        let patient = ["a,1,-10000,0", "a,2,0,10000", "a,2,10000,20000"];
        assert_eq!(texts(&fake_window(&events, 10_000, 500)), patient);
    }

    #[test]
    fn averages_are_cut_towards_zero() {
        let events = clicks(&["a,/,-3", "a,/,0", "b,/,1", "a,/,7"]);
        assert_eq!(texts(&avg_ts(&events, 2)), ["a,-1"]);
    }

    #[test]
    fn the_first_reading_gives_no_alert() {
        let lines = ["s,1,50", "s,2, 61.5", "s,3,51.5", "s,4,40"];
        assert_eq!(texts(&temp_alert(lines, 10.0)), ["s,50.0,61.5", "s,51.5,40.0"]);
    }
}
