//! However records are cut into batches, and whatever timers do in between, an operator does what a
//! plain loop does that takes one record after the other. See
//! docs/decisions/0002-batches-are-invisible.md.

use std::collections::{BTreeMap, BTreeSet};

use tidegate::error::{Error, Result};
use tidegate::model::{Batch, KeyHash, Limits, MAX_PARALLELISM_DEFAULT, TIME_END, TIME_NONE};
use tidegate::operator::{Firings, Operator, OperatorSettings, Outputs, Rejected, Rejections};
use tidegate::state::{KeyedState, Layout, OperatorState};
use tidegate::wasm::{Component, Engine, LogSink, OpenContext};
use tidegate_tests::binary::component;
use tidegate_tests::random::Random;

/// Seeds that each run tries.
const SEEDS: u64 = 300;

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const ACTIONS: [&str; 5] = ["set", "set", "set", "delete", "look"];

/// A record for the `alarms` function, with what its source knows of it.
struct Record {
    key: &'static str,
    action: &'static str,
    /// The time in the record: of the timer.
    time: i64,
    timestamp: i64,
    /// In force before it.
    watermark: i64,
}

impl Record {
    fn line(&self) -> String {
        format!("{},{},{}", self.key, self.action, self.time)
    }
}

fn records(random: &mut Random) -> (Vec<Record>, i64) {
    let (mut watermark, mut now) = (TIME_NONE, 0);
    let records = (0..random.between(1, 60)).map(|_| {
        now += random.between(0, 12);
        let timestamp = now - random.between(0, 10);
        let record = Record {
            key: KEYS[random.between(0, 3) as usize],
            action: ACTIONS[random.between(0, 4) as usize],
            time: now + random.between(-20, 30),
            timestamp,
            watermark,
        };
        watermark = watermark.max(timestamp - 1);
        record
    });
    let records = records.collect();
    (records, watermark)
}

/// The plain loop: state and timers of all keys, one record after the other.
#[derive(Default)]
struct Oracle {
    calls: BTreeMap<&'static str, u64>,
    /// By time and key.
    timers: BTreeSet<(i64, &'static str)>,
    /// What each key sent out: the line and its event time.
    out: BTreeMap<&'static str, Vec<(String, i64)>>,
    /// The lines of timers that were registered before their time.
    on_time: BTreeSet<String>,
}

impl Oracle {
    fn tell(&mut self, key: &'static str, what: &str, watermark: i64, timestamp: i64) {
        let calls = self.calls.entry(key).or_default();
        *calls += 1;
        let line = format!("{key} {calls} {what} at {watermark}");
        self.out.entry(key).or_default().push((line, timestamp));
    }

    /// Fires what is due at `watermark`. A timer sees its own time, or, if it was registered late,
    /// what the one that registered it saw: for the keys' first timers that is `seen`.
    fn fire(&mut self, watermark: i64, seen: i64) {
        let mut seen_by_key = BTreeMap::new();
        while let Some(&(time, key)) = self.timers.first().filter(|(time, _)| *time <= watermark) {
            self.timers.pop_first();
            let before = *seen_by_key.get(key).unwrap_or(&seen);
            let order = time.max(before);
            seen_by_key.insert(key, order);
            if time % 3 == 0 {
                self.timers.insert((time + 2, key));
            }
            if time % 7 == 0 {
                self.timers.insert((time - 5, key));
            }
            let sees = if watermark == TIME_END { TIME_END } else { order };
            self.tell(key, &format!("timer {time}"), sees, time);
            if time > before {
                self.on_time.extend(self.out[key].last().map(|(line, _)| line.clone()));
            }
        }
    }

    fn run(&mut self, records: &[Record], last: i64) {
        for record in records {
            self.fire(record.watermark, TIME_NONE);
            match record.action {
                "set" => drop(self.timers.insert((record.time, record.key))),
                "delete" => drop(self.timers.remove(&(record.time, record.key))),
                _ => {}
            }
            self.tell(record.key, record.action, record.watermark, record.timestamp);
            self.fire(record.watermark, record.watermark);
        }
        self.fire(last, TIME_NONE);
        self.fire(TIME_END, TIME_NONE);
    }
}

struct FailFast;

impl Rejections for FailFast {
    fn reject(&mut self, rejected: &Rejected<'_>) -> Result<()> {
        Err(Error::guest(rejected.fault.message.clone()))
    }
}

fn operator(component: &Component) -> Operator {
    let settings = OperatorSettings {
        component: component.clone(),
        context: OpenContext {
            operator: "alarms".into(),
            partition: 0,
            parallelism: 1,
            params: Vec::new(),
            ttl: Vec::new(),
        },
        limits: Limits::default(),
        log: LogSink::none(),
        rejections: Box::new(FailFast),
        captures: None,
    };
    let layout = Layout::of(settings.component.declaration());
    let state = KeyedState::on_heap(layout, MAX_PARALLELISM_DEFAULT);
    Operator::open(settings, state, OperatorState::new(&[]), TIME_NONE).expect("alarms opens")
}

fn advance(operator: &mut Operator, watermark: i64, out: &mut Outputs) {
    while operator.advance_watermark(watermark, 0, out).expect("no fault") == Firings::More {}
}

/// Cuts the records into batches at random, some with a watermark after them.
fn run(component: &Component, records: &[Record], last: i64, random: &mut Random) -> Batch {
    let mut operator = operator(component);
    let mut out = Outputs::new(1);
    let mut rest = records;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(random.between(1, rest.len() as i64) as usize);
        let mut batch = Batch::default();
        for record in now {
            batch.values.push(record.line().as_bytes());
            batch.keys.push(record.key.as_bytes());
            batch.hashes.push(KeyHash::of(record.key.as_bytes()));
            batch.timestamps.push(record.timestamp);
            batch.watermarks.push(record.watermark);
            batch.lines.push(1);
        }
        let next = operator.process(0, &batch, 0, 0, &mut out).expect("no fault");
        assert_eq!(next, batch.len(), "so little output fits");
        if random.once_in(2) {
            let watermark = later.first().map_or(last, |next| next.watermark);
            advance(&mut operator, watermark, &mut out);
        }
        rest = later;
    }
    advance(&mut operator, last, &mut out);
    advance(&mut operator, TIME_END, &mut out);
    operator.close().expect("no fault");
    out.batches.remove(0)
}

#[test]
fn any_cut_gives_what_a_plain_loop_gives() {
    let engine = Engine::new().expect("wasm runs here");
    let path = component("alarms");
    let component = Component::load(&engine, &path).expect("alarms loads");
    let seeds = match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => vec![seed.parse().expect("TIDEGATE_SEED is a number")],
        Err(_) => (0..SEEDS).collect(),
    };
    for seed in seeds {
        let mut random = Random::new(seed);
        let (records, last) = records(&mut random);
        let mut oracle = Oracle::default();
        oracle.run(&records, last);
        let batch = run(&component, &records, last, &mut random);
        let again = format!("seed {seed}; again with TIDEGATE_SEED={seed}");
        let mut found: BTreeMap<&str, Vec<(String, i64)>> = BTreeMap::new();
        for (value, &timestamp) in batch.values.iter().zip(&batch.timestamps) {
            let line = String::from_utf8(value.to_vec()).expect("alarms tells text");
            let key = oracle.out.keys().find(|key| line.starts_with(**key)).expect("a known key");
            found.entry(key).or_default().push((line, timestamp));
        }
        assert_eq!(found, oracle.out, "{again}");
        assert!(batch.watermarks.is_sorted(), "time runs backwards: {again}");
        assert_nothing_is_late(&oracle, &batch, &again);
    }
}

/// What a timer sends out reaches the next operator before the time of the timer has passed there,
/// unless the timer itself was registered too late.
fn assert_nothing_is_late(oracle: &Oracle, batch: &Batch, again: &str) {
    for (index, value) in batch.values.iter().enumerate() {
        let line = String::from_utf8_lossy(value);
        if oracle.on_time.contains(line.as_ref()) {
            let (timestamp, in_force) = (batch.timestamps[index], batch.watermarks[index]);
            assert!(in_force < timestamp, "{line} comes after {in_force}: {again}");
        }
    }
}
