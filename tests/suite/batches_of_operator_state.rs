//! However records are cut into batches: operator state and broadcast state go from record to
//! record and to the timers between them, of all keys, as in a plain loop that takes one record
//! after the other. Like `batches_are_invisible`, with functions whose keys see each other.

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

/// The functions, by what they tell.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Guest {
    /// Numbers what happens to all keys.
    Notary,
    /// Shows the broadcast map.
    Edicts,
}

/// A record, with what its source knows of it.
struct Record {
    is_broadcast: bool,
    /// The key; of a broadcast record a name in the map.
    key: &'static str,
    action: &'static str,
    /// The time in the record: of the timer.
    time: i64,
    timestamp: i64,
    /// In force before it.
    watermark: i64,
}

fn records(guest: Guest, random: &mut Random) -> (Vec<Record>, i64) {
    let (mut watermark, mut now) = (TIME_NONE, 0);
    let pause = *random.choose(&[3, 12, 12, 60]);
    let records = (0..random.between(1, 60)).map(|_| {
        now += random.between(0, pause);
        let timestamp = now - random.between(0, 10);
        let key = random.between(0, 3);
        let record = Record {
            is_broadcast: guest == Guest::Edicts && random.once_in(4),
            key: KEYS[key as usize],
            action: ACTIONS[random.between(0, 4) as usize],
            // Timers of different keys never have the same time: they would have no order.
            time: (now + random.between(-20, 30)).div_euclid(4) * 4 + key,
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
struct Oracle {
    guest: Guest,
    /// By key.
    calls: BTreeMap<&'static str, u64>,
    /// Of all keys.
    number: u64,
    before: &'static str,
    map: BTreeMap<&'static str, i64>,
    /// By time and key.
    timers: BTreeSet<(i64, &'static str)>,
    /// What each key sent out, and the broadcast records: the line and its event time.
    out: BTreeMap<&'static str, Vec<(String, i64)>>,
}

impl Oracle {
    fn new(guest: Guest) -> Self {
        Self {
            guest,
            calls: BTreeMap::new(),
            number: 0,
            before: "",
            map: BTreeMap::new(),
            timers: BTreeSet::new(),
            out: BTreeMap::new(),
        }
    }

    fn shown_map(&self) -> String {
        let entries: Vec<String> =
            self.map.iter().map(|(key, time)| format!("{key}={time}")).collect();
        entries.join(" ")
    }

    fn tell(&mut self, key: &'static str, what: &str, watermark: i64, timestamp: i64) {
        let line = match self.guest {
            Guest::Notary => {
                self.number += 1;
                let before = std::mem::replace(&mut self.before, key);
                format!("{} {key} {what} at {watermark} after {before}", self.number)
            }
            Guest::Edicts => {
                let map = self.shown_map();
                let calls = self.calls.entry(key).or_default();
                *calls += 1;
                format!("{key} {calls} {what} at {watermark} under {map}")
            }
        };
        self.out.entry(key).or_default().push((line, timestamp));
    }

    /// Fires what is due at `watermark`. A timer sees its own time, or, if it was registered late,
    /// what the one that registered it saw: for the keys' first timers that is `seen`.
    fn fire(&mut self, watermark: i64, seen: i64) {
        let mut seen_by_key = BTreeMap::new();
        while let Some(&(time, key)) = self.timers.first().filter(|(time, _)| *time <= watermark) {
            self.timers.pop_first();
            let order = time.max(*seen_by_key.get(key).unwrap_or(&seen));
            seen_by_key.insert(key, order);
            if time % 3 == 0 {
                self.timers.insert((time + 8, key));
            }
            if time % 7 == 0 {
                self.timers.insert((time - 20, key));
            }
            let sees = if watermark == TIME_END { TIME_END } else { order };
            self.tell(key, &format!("timer {time}"), sees, time);
        }
    }

    fn run(&mut self, records: &[Record], last: i64) {
        for record in records {
            let Record { key, action, time, timestamp, watermark, .. } = *record;
            self.fire(watermark, TIME_NONE);
            if record.is_broadcast {
                match action {
                    "delete" => drop(self.map.remove(key)),
                    _ => drop(self.map.insert(key, time)),
                }
                let line = format!("all {action} at {watermark} under {}", self.shown_map());
                self.out.entry("all").or_default().push((line, timestamp));
                continue;
            }
            match action {
                "set" => drop(self.timers.insert((time, key))),
                "delete" => drop(self.timers.remove(&(time, key))),
                _ => {}
            }
            self.tell(key, action, watermark, timestamp);
            self.fire(watermark, watermark);
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
            operator: "guest".into(),
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
    let declaration = settings.component.declaration().clone();
    let keyed = KeyedState::on_heap(Layout::of(&declaration), MAX_PARALLELISM_DEFAULT);
    let operator = OperatorState::new(&declaration.operator_states);
    Operator::open(settings, keyed, operator, TIME_NONE).expect("the guest opens")
}

fn advance(operator: &mut Operator, watermark: i64, out: &mut Outputs) {
    while operator.advance_watermark(watermark, 0, out).expect("no fault") == Firings::More {}
}

/// The batch of some records, which came through one input.
fn batch_of(records: &[Record]) -> Batch {
    let mut batch = Batch::default();
    for record in records {
        let Record { key, action, time, .. } = record;
        batch.values.push(format!("{key},{action},{time}").as_bytes());
        if !record.is_broadcast {
            batch.keys.push(key.as_bytes());
            batch.hashes.push(KeyHash::of(key.as_bytes()));
        }
        batch.timestamps.push(record.timestamp);
        batch.watermarks.push(record.watermark);
        batch.lines.push(1);
    }
    batch
}

/// How many of the records go into the next batch, and whether a watermark comes after it.
type Cut<'a> = &'a mut dyn FnMut(usize) -> (usize, bool);

/// Cuts the records into batches. Gives what was sent out, and the operator states in the end.
fn run(component: &Component, records: &[Record], last: i64, cut: Cut<'_>) -> (Batch, Vec<u8>) {
    let mut operator = operator(component);
    let mut out = Outputs::new(1);
    let mut rest = records;
    while let Some(first) = rest.first() {
        let one_input = rest.iter().take_while(|one| one.is_broadcast == first.is_broadcast);
        let (count, advances) = cut(one_input.count());
        let (now, later) = rest.split_at(count);
        let batch = batch_of(now);
        let input = u32::from(first.is_broadcast);
        let next = operator.process(input, &batch, 0, 0, &mut out).expect("no fault");
        assert_eq!(next, batch.len(), "so little output fits");
        if advances {
            let watermark = later.first().map_or(last, |next| next.watermark);
            advance(&mut operator, watermark, &mut out);
        }
        rest = later;
    }
    advance(&mut operator, last, &mut out);
    advance(&mut operator, TIME_END, &mut out);
    let states = operator.operator_snapshot().expect("there were calls");
    operator.close().expect("no fault");
    (out.batches.remove(0), states)
}

/// The lines of each key, and of the broadcast records, with their event times.
fn by_key(guest: Guest, batch: &Batch) -> BTreeMap<&'static str, Vec<(String, i64)>> {
    let mut found: BTreeMap<&str, Vec<(String, i64)>> = BTreeMap::new();
    for (value, &timestamp) in batch.values.iter().zip(&batch.timestamps) {
        let line = String::from_utf8(value.to_vec()).expect("guests tell text");
        let word = line.split(' ').nth(usize::from(guest == Guest::Notary));
        let mut keys = KEYS.into_iter().chain(["all"]);
        let key = keys.find(|key| Some(*key) == word).expect("a known key");
        found.entry(key).or_default().push((line, timestamp));
    }
    found
}

fn any_cut_gives_what_a_plain_loop_gives(guest: Guest, crate_name: &str) {
    let engine = Engine::new().expect("wasm runs here");
    let component = Component::load(&engine, &component(crate_name)).expect("the guest loads");
    let seeds = match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => vec![seed.parse().expect("TIDEGATE_SEED is a number")],
        Err(_) => (0..SEEDS).collect(),
    };
    for seed in seeds {
        let mut random = Random::new(seed);
        let (records, last) = records(guest, &mut random);
        let mut oracle = Oracle::new(guest);
        oracle.run(&records, last);
        let again = format!("seed {seed}; again with TIDEGATE_SEED={seed}");
        let (batch, states) = run(&component, &records, last, &mut |most| {
            (random.between(1, most as i64) as usize, random.once_in(2))
        });
        assert_eq!(by_key(guest, &batch), oracle.out, "{again}");
        assert!(batch.watermarks.is_sorted(), "time runs backwards: {again}");
        let (alone, states_alone) = run(&component, &records, last, &mut |_| (1, false));
        assert_eq!(by_key(guest, &alone), oracle.out, "one by one: {again}");
        assert_eq!(states, states_alone, "{again}");
    }
}

#[test]
fn lists_of_the_operator_see_records_and_timers_in_their_order() {
    any_cut_gives_what_a_plain_loop_gives(Guest::Notary, "notary");
}

#[test]
fn records_and_timers_see_the_broadcast_map_of_their_time() {
    any_cut_gives_what_a_plain_loop_gives(Guest::Edicts, "edicts");
}
