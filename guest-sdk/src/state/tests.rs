//! State against a plain model: whatever the operations and however records are cut into calls, a
//! function reads its own writes and the host ends with the same state.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::{StateBuilder, short_type_name};
use crate::prelude::*;
use crate::testing::{Harness, WithKeys};

mod migrations;
mod settings;

#[test]
fn type_names_have_no_modules() {
    assert_eq!(short_type_name::<(u64, Option<String>)>(), "(u64, Option<String>)");
    assert_eq!(
        short_type_name::<BTreeMap<&'static str, Vec<[u8; 2]>>>(),
        "BTreeMap<&str, Vec<[u8; 2]>>"
    );
}

/// What a record tells the function to do. Those that read send what they read.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Op {
    Value,
    Update(String),
    ValueClear,
    List,
    Add(u16),
    AddAll(Vec<u16>),
    ListUpdate(Vec<u16>),
    ListClear,
    ListIsEmpty,
    Slice(usize, usize),
    Length,
    Get(String),
    GetMany(Vec<String>),
    Contains(String),
    Put(String, String),
    Remove(String),
    Keys,
    Entries,
    MapIsEmpty,
    MapClear,
    Reduce(u32),
    Reduced,
    ReduceClear,
    Aggregate(i32),
    Aggregated,
}

/// Counts and sums what it is given.
struct Average;

impl AggregateFunction for Average {
    type In = i32;
    type Acc = (i64, i64);
    type Out = i64;

    fn create_accumulator(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, value: i32, (sum, count): (i64, i64)) -> (i64, i64) {
        (sum + i64::from(value), count + 1)
    }

    fn get_result(&self, (sum, count): (i64, i64)) -> i64 {
        sum / count
    }
}

/// Does what its records say. `LIFETIME` indexes [`LIFETIMES`].
struct Interpreter<const LIFETIME: usize> {
    value: ValueState<String>,
    list: ListState<u16>,
    map: MapState<String, String>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<Average>,
}

/// The lifetimes that are tested: none, then each clock with each kind of access.
const LIFETIMES: [fn(Ttl) -> Option<Ttl>; 5] = [
    |_| None,
    Some,
    |ttl| Some(ttl.update_on_read()),
    |ttl| Some(ttl.event_time()),
    |ttl| Some(ttl.event_time().update_on_read()),
];

/// What state lives in those, in milliseconds.
const LIFE: i64 = 10;

/// Begins the declaration of a state with one of the lifetimes.
fn state<'s>(setup: &'s mut Setup, name: &str, lifetime: usize) -> StateBuilder<'s> {
    let builder = setup.state(name);
    match LIFETIMES[lifetime](Ttl::new(Duration::from_millis(LIFE as u64))) {
        None => builder,
        Some(ttl) => builder.ttl(ttl),
    }
}

impl<const LIFETIME: usize> RichFlatMapFunction for Interpreter<LIFETIME> {
    type In<'a> = Json<Op>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            value: state(setup, "value", LIFETIME).value(),
            list: state(setup, "list", LIFETIME).list(),
            map: state(setup, "map", LIFETIME).map(),
            reducing: state(setup, "reducing", LIFETIME).reducing(|a, b| a + b),
            aggregating: state(setup, "aggregating", LIFETIME).aggregating(Average),
        })
    }

    fn flat_map(&mut self, Json(op): Json<Op>, ctx: &mut FlatMapContext<'_, String>) -> Result<()> {
        match op {
            Op::Value => ctx.collect_fmt(format_args!("{:?}", self.value.value(ctx)?)),
            Op::Update(value) => self.value.update(ctx, &value)?,
            Op::ValueClear => self.value.clear(ctx),
            Op::List => ctx.collect(format!("{:?}", self.list.get(ctx)?)),
            Op::Add(element) => self.list.add(ctx, &element)?,
            Op::AddAll(elements) => self.list.add_all(ctx, elements)?,
            Op::ListUpdate(elements) => self.list.update(ctx, &elements)?,
            Op::ListClear => self.list.clear(ctx),
            Op::ListIsEmpty => ctx.collect(format!("{}", self.list.is_empty(ctx))),
            Op::Slice(from, to) => {
                ctx.collect(format!("{:?}", self.list.slice(ctx, from..to.max(from))?));
            }
            Op::Length => ctx.collect(self.list.len(ctx).to_string()),
            Op::GetMany(keys) => ctx.collect(format!("{:?}", self.map.get_many(ctx, &keys)?)),
            Op::Get(key) => ctx.collect(format!("{:?}", self.map.get(ctx, &key)?)),
            Op::Contains(key) => ctx.collect(format!("{}", self.map.contains(ctx, &key)?)),
            Op::Put(key, value) => self.map.put(ctx, &key, &value)?,
            Op::Remove(key) => self.map.remove(ctx, &key)?,
            Op::Keys => ctx.collect(format!("{:?}", self.map.keys(ctx)?)),
            Op::Entries => ctx.collect(format!("{:?}", self.map.entries(ctx)?)),
            Op::MapIsEmpty => ctx.collect(format!("{}", self.map.is_empty(ctx))),
            Op::MapClear => self.map.clear(ctx),
            Op::Reduce(value) => self.reducing.add(ctx, value.into())?,
            Op::Reduced => ctx.collect(format!("{:?}", self.reducing.get(ctx)?)),
            Op::ReduceClear => self.reducing.clear(ctx),
            Op::Aggregate(value) => self.aggregating.add(ctx, value)?,
            Op::Aggregated => ctx.collect(format!("{:?}", self.aggregating.get(ctx)?)),
        }
        Ok(())
    }
}

/// The state of one key, plainly.
#[derive(Default)]
struct Model {
    value: Option<String>,
    list: Vec<u16>,
    /// By length first, as the encoding of short text orders it.
    map: BTreeMap<(usize, String), String>,
    reducing: Option<u64>,
    aggregating: Option<(i64, i64)>,
}

fn by_length(key: &str) -> (usize, String) {
    (key.len(), key.to_owned())
}

impl Model {
    fn run(&mut self, op: &Op) -> Option<String> {
        match op {
            Op::Value => return Some(format!("{:?}", self.value)),
            Op::Update(value) => self.value = Some(value.clone()),
            Op::ValueClear => self.value = None,
            Op::List => return Some(format!("{:?}", self.list)),
            Op::Add(element) => self.list.push(*element),
            Op::AddAll(elements) => self.list.extend(elements),
            Op::ListUpdate(elements) => self.list = elements.clone(),
            Op::ListClear => self.list.clear(),
            Op::ListIsEmpty => return Some(self.list.is_empty().to_string()),
            Op::Slice(from, to) => {
                let list = self.list.iter().skip(*from).take(to.saturating_sub(*from));
                return Some(format!("{:?}", Vec::from_iter(list)));
            }
            Op::Length => return Some(self.list.len().to_string()),
            Op::GetMany(keys) => {
                let values = keys.iter().map(|key| self.map.get(&by_length(key)));
                return Some(format!("{:?}", Vec::from_iter(values)));
            }
            Op::Get(key) => return Some(format!("{:?}", self.map.get(&by_length(key)))),
            Op::Contains(key) => return Some(self.map.contains_key(&by_length(key)).to_string()),
            Op::Put(key, value) => drop(self.map.insert(by_length(key), value.clone())),
            Op::Remove(key) => drop(self.map.remove(&by_length(key))),
            Op::Keys => return Some(format!("{:?}", Vec::from_iter(self.entries().map(|e| e.0)))),
            Op::Entries => return Some(format!("{:?}", Vec::from_iter(self.entries()))),
            Op::MapIsEmpty => return Some(self.map.is_empty().to_string()),
            Op::MapClear => self.map.clear(),
            Op::Reduce(value) => *self.reducing.get_or_insert(0) += u64::from(*value),
            Op::Reduced => return Some(format!("{:?}", self.reducing)),
            Op::ReduceClear => self.reducing = None,
            Op::Aggregate(value) => {
                let (sum, count) = self.aggregating.unwrap_or_default();
                self.aggregating = Some((sum + i64::from(*value), count + 1));
            }
            Op::Aggregated => {
                return Some(format!("{:?}", self.aggregating.map(|(sum, count)| sum / count)));
            }
        }
        None
    }

    fn entries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.map.iter().map(|((_, key), value)| (key.as_str(), value.as_str()))
    }
}

fn op() -> impl Strategy<Value = Op> {
    let text = || prop::sample::select(vec!["", "a", "b", "ab", "zzz", "a long text of words"]);
    let text = || text().prop_map(str::to_owned);
    let numbers = || prop::collection::vec(0..1_000u16, 0..4);
    prop_oneof![
        Just(Op::Value),
        text().prop_map(Op::Update),
        Just(Op::ValueClear),
        Just(Op::List),
        (0..1_000u16).prop_map(Op::Add),
        numbers().prop_map(Op::AddAll),
        numbers().prop_map(Op::ListUpdate),
        Just(Op::ListClear),
        Just(Op::ListIsEmpty),
        (0..9_usize, 0..12_usize).prop_map(|(from, to)| Op::Slice(from, to)),
        Just(Op::Length),
        text().prop_map(Op::Get),
        prop::collection::vec(text(), 0..4).prop_map(Op::GetMany),
        text().prop_map(Op::Contains),
        (text(), text()).prop_map(|(key, value)| Op::Put(key, value)),
        (text(), text()).prop_map(|(key, value)| Op::Put(key, value)),
        text().prop_map(Op::Remove),
        Just(Op::Keys),
        Just(Op::Entries),
        Just(Op::MapIsEmpty),
        Just(Op::MapClear),
        (0..u32::MAX).prop_map(Op::Reduce),
        Just(Op::Reduced),
        Just(Op::ReduceClear),
        any::<i32>().prop_map(Op::Aggregate),
        Just(Op::Aggregated),
    ]
}

fn check_final_state(harness: &Harness<WithKeys>, models: &HashMap<&str, Model>) {
    for (key, model) in models {
        assert_eq!(harness.value_state::<String>("value", key).unwrap(), model.value);
        assert_eq!(harness.list_state::<u16>("list", key).unwrap(), model.list);
        let entries: Vec<(String, String)> = harness.map_state("map", key).unwrap();
        let expected: Vec<_> = model.entries().collect();
        assert!(entries.iter().map(|(key, value)| (&**key, &**value)).eq(expected));
        assert_eq!(harness.value_state::<u64>("reducing", key).unwrap(), model.reducing);
        assert_eq!(harness.value_state("aggregating", key).unwrap(), model.aggregating);
    }
}

proptest! {
    #[test]
    fn state_is_as_in_a_plain_model(
        calls in prop::collection::vec(
            prop::collection::vec((prop::sample::select(vec!["x", "y", "z"]), op()), 1..40),
            1..8,
        ),
        // Of a list or map: all is held back, what is longer than a little, nothing.
        whole in prop::sample::select(vec![0, 30, usize::MAX]),
    ) {
        let open = || Harness::rich_flat_map::<Interpreter<0>>().whole_state_bytes(whole).open();
        let mut batched = open().unwrap();
        let mut single = open().unwrap();
        let mut models: HashMap<&str, Model> = HashMap::new();
        let mut expected = Vec::new();
        for call in &calls {
            let record = |(key, op): &(&'static str, Op)| {
                (*key, serde_json::to_string(op).unwrap(), 0)
            };
            batched.push_all(call.iter().map(record)).unwrap();
            for (key, record, time) in call.iter().map(record) {
                single.push(key, record, time).unwrap();
                single.restart().unwrap();
            }
            expected.extend(
                call.iter().filter_map(|(key, op)| models.entry(key).or_default().run(op)),
            );
        }
        prop_assert_eq!(&batched.take_output(), &expected);
        prop_assert_eq!(&single.take_output(), &expected);
        check_final_state(&batched, &models);
        check_final_state(&single, &models);
    }
}

/// Keeps what an earlier version of the function wrote.
struct Changed(ValueState<(u64, String)>);

impl RichMapFunction for Changed {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        // Writes as one type and reads as another, as if the function had been replaced.
        setup.list_state::<u8>("unused");
        Ok(Self(setup.value_state("profile")))
    }

    fn map(&mut self, record: &str, ctx: &mut MapContext<'_>) -> Result<String> {
        if record == "write" {
            ctx.value_cells_mut(1).0.put(0, |out| super::encode(&7u64, out))?;
        }
        Ok(format!("{:?}", self.0.value(ctx)?))
    }
}

#[test]
fn state_that_cannot_be_read_is_named() {
    let mut harness = Harness::rich_map::<Changed>().open().unwrap();
    harness.push("alice", "read", 0).unwrap();
    let fault = harness.push("alice", "write", 0).unwrap_err();
    assert_eq!(
        fault.message,
        "state `profile` of key \"alice\": what is stored cannot be read as `(u64, String)`: Hit \
         the end of buffer, expected more data"
    );
}

/// Something that was last accessed at a time.
#[derive(Clone)]
struct Aged<T>(T, i64);

/// The state of one key in which everything has its own life.
#[derive(Default)]
struct AgingModel {
    value: Option<Aged<String>>,
    list: Vec<Aged<u16>>,
    map: BTreeMap<(usize, String), Aged<String>>,
    reducing: Option<Aged<u64>>,
    aggregating: Option<Aged<(i64, i64)>>,
}

impl AgingModel {
    /// What is left at a time, without ages.
    fn young(&self, now: i64) -> Model {
        fn alive<T: Clone>(Aged(value, at): &Aged<T>, now: i64) -> Option<T> {
            (at + LIFE > now).then(|| value.clone())
        }
        Model {
            value: self.value.as_ref().and_then(|value| alive(value, now)),
            list: self.list.iter().filter_map(|element| alive(element, now)).collect(),
            map: self
                .map
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), alive(value, now)?)))
                .collect(),
            reducing: self.reducing.as_ref().and_then(|value| alive(value, now)),
            aggregating: self.aggregating.as_ref().and_then(|value| alive(value, now)),
        }
    }

    /// Runs an operation at time `now`; what it accesses is as old as `at`.
    fn run(&mut self, op: &Op, at: i64, now: i64, counts_reads: bool) -> Option<String> {
        let mut young = self.young(now);
        let output = young.run(op);
        let reads = |of: &[bool]| counts_reads && of.iter().any(|is| *is);
        // What is alive and was accessed gets the new age; what is left of the rest keeps its own.
        let value = matches!(op, Op::Update(_)) || reads(&[matches!(op, Op::Value)]);
        self.value = renew(self.value.take(), young.value, at, value);
        let reduced = matches!(op, Op::Reduce(_)) || reads(&[matches!(op, Op::Reduced)]);
        self.reducing = renew(self.reducing.take(), young.reducing, at, reduced);
        let aggregated = matches!(op, Op::Aggregate(_)) || reads(&[matches!(op, Op::Aggregated)]);
        self.aggregating = renew(self.aggregating.take(), young.aggregating, at, aggregated);

        let all = matches!(op, Op::ListUpdate(_))
            || reads(&[matches!(op, Op::List | Op::Slice(..) | Op::Length | Op::ListIsEmpty)]);
        self.list.retain(|Aged(_, at)| at + LIFE > now);
        let old = self.list.len();
        self.list = (young.list.into_iter().enumerate())
            .map(|(index, element)| {
                let is_old = index < old && !all;
                Aged(element, if is_old { self.list[index].1 } else { at })
            })
            .collect();

        let every = reads(&[matches!(op, Op::Keys | Op::Entries | Op::MapIsEmpty)]);
        let some = match op {
            Op::Put(key, _) => vec![by_length(key)],
            Op::Get(key) | Op::Contains(key) if counts_reads => vec![by_length(key)],
            Op::GetMany(keys) if counts_reads => keys.iter().map(|key| by_length(key)).collect(),
            _ => Vec::new(),
        };
        let map = std::mem::take(&mut self.map);
        self.map = (young.map.into_iter())
            .map(|(key, value)| {
                let is_accessed = every || some.contains(&key);
                let age = if is_accessed { at } else { map[&key].1 };
                (key, Aged(value, age))
            })
            .collect();
        output
    }
}

fn renew<T>(old: Option<Aged<T>>, young: Option<T>, at: i64, accessed: bool) -> Option<Aged<T>> {
    let age = old.filter(|_| !accessed).map_or(at, |Aged(_, at)| at);
    young.map(|value| Aged(value, age))
}

/// Calls at growing times with operations of keys; in event time a record is older than its call by
/// so much.
type AgingCalls = Vec<(i64, Vec<(&'static str, Op, i64)>)>;

/// Runs the calls with one of the lifetimes, whole and record by record.
fn check_aging<const LIFETIME: usize>(calls: &AgingCalls) {
    let counts_reads = LIFETIME.is_multiple_of(2);
    let is_event = LIFETIME > 2;
    let builder = Harness::rich_flat_map::<Interpreter<LIFETIME>>;
    let mut batched = builder().open().unwrap();
    // And with lists and maps read in pieces.
    let mut single = builder().whole_state_bytes(0).open().unwrap();
    let mut models: HashMap<&str, AgingModel> = HashMap::new();
    let mut expected = Vec::new();
    let mut now = 0;
    for (pause, call) in calls {
        now += pause;
        for harness in [&mut batched, &mut single] {
            harness.advance_watermark(now).unwrap();
            harness.advance_processing_time(now).unwrap();
        }
        let record = |(key, op, late): &(&'static str, Op, i64)| {
            (*key, serde_json::to_string(op).unwrap(), now - late)
        };
        batched.push_all(call.iter().map(record)).unwrap();
        for (key, record, time) in call.iter().map(record) {
            single.push(key, record, time).unwrap();
        }
        expected.extend(call.iter().filter_map(|(key, op, late)| {
            let at = if is_event { now - late } else { now };
            models.entry(key).or_default().run(op, at, now, counts_reads)
        }));
    }
    assert_eq!(batched.take_output(), expected);
    assert_eq!(single.take_output(), expected);
}

proptest! {
    #[test]
    fn everything_has_its_own_life(
        calls in prop::collection::vec(
            (
                0..LIFE,
                prop::collection::vec(
                    (prop::sample::select(vec!["x", "y"]), op(), -LIFE..LIFE),
                    1..20,
                ),
            ),
            1..12,
        ),
    ) {
        check_aging::<1>(&calls);
        check_aging::<2>(&calls);
        check_aging::<3>(&calls);
        check_aging::<4>(&calls);
    }
}
