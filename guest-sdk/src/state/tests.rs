//! State against a plain model: whatever the operations and however records are cut into calls, a
//! function reads its own writes and the host ends with the same state.

use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::short_type_name;
use crate::prelude::*;
use crate::testing::{Harness, WithKeys};

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
    Get(String),
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

/// Does what its records say.
struct Interpreter {
    value: ValueState<String>,
    list: ListState<u16>,
    map: MapState<String, String>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<Average>,
}

impl RichFlatMapFunction for Interpreter {
    type In<'a> = Json<Op>;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self {
            value: setup.value_state("value"),
            list: setup.list_state("list"),
            map: setup.map_state("map"),
            reducing: setup.reducing_state("reducing", |a, b| a + b),
            aggregating: setup.aggregating_state("aggregating", Average),
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
        text().prop_map(Op::Get),
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
    ) {
        let mut batched = Harness::rich_flat_map::<Interpreter>().open().unwrap();
        let mut single = Harness::rich_flat_map::<Interpreter>().open().unwrap();
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
