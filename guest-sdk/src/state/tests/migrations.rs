//! Migrations: what they make of each kind of state, and which declarations cannot be.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::prelude::*;
use crate::state::StateBuilder;
use crate::testing::{Builder, Harness, WithKeys, WithoutKeys};

/// A function that only has state, which `D` declares.
struct Keeper<D>(std::marker::PhantomData<D>);

trait Declare: 'static {
    fn declare(setup: &mut Setup);
}

impl<D: Declare> RichFlatMapFunction for Keeper<D> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        D::declare(setup);
        Ok(Self(std::marker::PhantomData))
    }

    fn flat_map(&mut self, _: &str, _: &mut FlatMapContext<'_, String>) -> Result<()> {
        Ok(())
    }
}

impl<D: Declare> ProcessFunction for Keeper<D> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        D::declare(setup);
        Ok(Self(std::marker::PhantomData))
    }

    fn process_element(&mut self, _: &str, _: &mut ProcessContext<'_, String>) -> Result<()> {
        Ok(())
    }
}

impl<D: Declare> BroadcastProcessFunction for Keeper<D> {
    type In<'a> = &'a str;
    type Broadcast<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        D::declare(setup);
        Ok(Self(std::marker::PhantomData))
    }

    fn process_element(&mut self, _: &str, _: &mut ProcessContext<'_, String>) -> Result<()> {
        Ok(())
    }

    fn process_broadcast_element(
        &mut self,
        _: &str,
        _: &mut BroadcastContext<'_, String>,
    ) -> Result<()> {
        Ok(())
    }
}

/// What is declared is all that is wanted of a state here.
fn declared<T>(_handle: T) {}

fn keyed<D: Declare>() -> Builder<WithKeys> {
    Harness::rich_flat_map::<Keeper<D>>()
}

fn of_partition<D: Declare>() -> Builder<WithoutKeys> {
    Harness::process::<Keeper<D>>()
}

/// Three versions of a number: in words, as a number, with its sign apart.
fn in_words(builder: StateBuilder<'_>) -> StateBuilder<'_> {
    builder
        .schema_version(3)
        .migrate(2, |number: i64| Ok((number < 0, number.unsigned_abs())))
        .migrate(1, |words: String| {
            if words == "unknown" {
                bail!("{words:?} is no number");
            }
            Ok(words.parse::<i64>()?)
        })
}

type Number = (bool, u64);

/// Each kind of keyed state that holds the number, without and with a time to live.
struct Numbers<const LIVES: bool>;

impl<const LIVES: bool> Declare for Numbers<LIVES> {
    fn declare(setup: &mut Setup) {
        for name in ["value", "list", "map", "reducing", "aggregating"] {
            let ttl = Ttl::new(Duration::from_secs(60));
            let builder = if LIVES { setup.state(name).ttl(ttl) } else { setup.state(name) };
            match name {
                "value" => declared(in_words(builder).value::<Number>()),
                "list" => declared(in_words(builder).list::<Number>()),
                "map" => declared(in_words(builder).map::<String, Number>()),
                "reducing" => declared(in_words(builder).reducing(|one: Number, _| one)),
                _ => declared(in_words(builder).aggregating(Last)),
            }
        }
    }
}

struct Last;

impl AggregateFunction for Last {
    type In = Number;
    type Acc = Number;
    type Out = Number;

    fn create_accumulator(&self) -> Number {
        (false, 0)
    }
    fn add(&self, value: Number, _: Number) -> Number {
        value
    }
    fn get_result(&self, accumulator: Number) -> Number {
        accumulator
    }
}

fn migrates_each_kind<const LIVES: bool>() -> Result<()> {
    let mut numbers = keyed::<Numbers<LIVES>>().open()?;
    for name in ["value", "reducing", "aggregating"] {
        numbers.restore_value(name, 1, "a", &"-12")?;
        numbers.restore_value(name, 2, "b", &7_i64)?;
        numbers.restore_value(name, 3, "c", &(true, 1_u64))?;
        let of = |key| numbers.value_state::<Number>(name, key);
        assert_eq!((of("a")?, of("b")?), (Some((true, 12)), Some((false, 7))));
        assert_eq!((of("c")?, of("d")?), (Some((true, 1)), None));
    }
    numbers.restore_list("list", 1, "a", &["1", "", "-3"]).unwrap_err();
    numbers.restore_list("list", 1, "a", &["1", "200", "-3"])?;
    let list = numbers.list_state::<Number>("list", "a")?;
    assert_eq!(list, [(false, 1), (false, 200), (true, 3)]);
    numbers.restore_map("map", 1, "a", &[("x", "1"), ("long", "-200")])?;
    let map = numbers.map_state::<String, Number>("map", "a")?;
    assert_eq!(map, [("x".to_owned(), (false, 1)), ("long".to_owned(), (true, 200))]);
    Ok(())
}

#[test]
fn each_kind_goes_step_by_step() -> Result<()> {
    migrates_each_kind::<false>()?;
    migrates_each_kind::<true>()
}

#[test]
fn errors_name_state_key_version_and_place() {
    let mut numbers = keyed::<Numbers<false>>().open().unwrap();
    let error = numbers.restore_list("list", 1, "k\n", &["1", "unknown"]).unwrap_err();
    let message = "state `list` of key \"k\\n\", from version 1 to 2: element 1: \"unknown\" is no \
                   number";
    assert_eq!(error.to_string(), message);
    let error = numbers.restore_map("map", 1, "k", &[(1, "unknown")]).unwrap_err();
    let message =
        "state `map` of key \"k\", from version 1 to 2: entry 0: \"unknown\" is no number";
    assert_eq!(error.to_string(), message);
    let error = numbers.restore_value("value", 1, "k", &1_u64).unwrap_err();
    let message = "state `value` of key \"k\", from version 1 to 2: what is stored cannot be read \
                   as `String`: ";
    assert!(error.to_string().starts_with(message), "{error}");
    let error = numbers.restore_value("value", 4, "k", &1_u64).unwrap_err();
    assert_eq!(
        error.to_string(),
        "state `value` is of schema version 4, and the function declares 3"
    );
    let error = numbers.restore_value("value", 0, "k", &1_u64).unwrap_err();
    assert_eq!(
        error.to_string(),
        "state `value` has no migration from schema version 0; declare one with `.migrate(0, …)`"
    );
}

/// Keys and values of maps, what is dropped, and what is told the key.
struct Others;

impl Declare for Others {
    fn declare(setup: &mut Setup) {
        let state = setup.state("renamed").schema_version(2);
        state
            .migrate_entries(1, |name: String, count: u8| {
                Ok((name.to_lowercase(), u64::from(count)))
            })
            .map::<String, u64>();
        let state = setup.state("thinned").schema_version(2);
        state
            .migrate_entries_or_drop(1, |number: u32, text: String| {
                Ok(number.is_multiple_of(2).then(|| (text, number)))
            })
            .map::<String, u32>();
        let state = setup.state("odd").schema_version(2);
        let odd = |number: u64| Ok(Some(number).filter(|number| number % 2 == 1));
        state.migrate_or_drop(1, odd).list::<u64>();
        let state = setup.state("odd value").schema_version(2);
        state.migrate_or_drop(1, odd).value::<u64>();
        let state = setup.state("key").schema_version(2);
        let with_key = |key: &[u8], value: u8| {
            let key = String::from_utf8(key.to_vec())?;
            Ok((key != "nobody").then(|| format!("{key} {value}")))
        };
        state.migrate_with_key(1, with_key).value::<String>();
    }
}

#[test]
fn entries_change_their_keys() -> Result<()> {
    let mut others = keyed::<Others>().open()?;
    let old = [("Zebra".to_owned(), 1_u8), ("ANT".to_owned(), 2), ("bee".to_owned(), 3)];
    others.restore_map("renamed", 1, "k", &old)?;
    let map: BTreeMap<_, _> =
        others.map_state::<String, u64>("renamed", "k")?.into_iter().collect();
    let expected = [("ant".to_owned(), 2), ("bee".to_owned(), 3), ("zebra".to_owned(), 1)];
    assert_eq!(map, BTreeMap::from(expected));

    let same = [("a".to_owned(), 1_u8), ("A".to_owned(), 2)];
    let error = others.restore_map("renamed", 1, "k", &same).unwrap_err().to_string();
    assert_eq!(
        error,
        "state `renamed` of key \"k\", from version 1 to 2: two entries get the same key, \
         \"\\u{1}a\" as it is encoded"
    );
    let old = [(1_u32, "one".to_owned()), (2, "two".to_owned()), (4, "four".to_owned())];
    others.restore_map("thinned", 1, "k", &old)?;
    let map = others.map_state::<String, u32>("thinned", "k")?;
    assert_eq!(map, [("two".to_owned(), 2), ("four".to_owned(), 4)]);
    Ok(())
}

#[test]
fn what_is_dropped_is_gone() -> Result<()> {
    let mut others = keyed::<Others>().open()?;
    others.restore_list("odd", 1, "some", &[1_u64, 2, 3, 4])?;
    others.restore_list("odd", 1, "none", &[2_u64, 4])?;
    assert_eq!(others.list_state::<u64>("odd", "some")?, [1, 3]);
    assert_eq!(others.list_state::<u64>("odd", "none")?, [0; 0]);
    others.restore_value("odd value", 1, "some", &3_u64)?;
    others.restore_value("odd value", 1, "none", &4_u64)?;
    assert_eq!(others.value_state::<u64>("odd value", "some")?, Some(3));
    assert_eq!(others.value_state::<u64>("odd value", "none")?, None);
    others.restore_value("key", 1, "me", &3_u8)?;
    others.restore_value("key", 1, "nobody", &3_u8)?;
    assert_eq!(others.value_state::<String>("key", "me")?.as_deref(), Some("me 3"));
    assert_eq!(others.value_state::<String>("key", "nobody")?, None);
    Ok(())
}

struct OfPartition;

impl Declare for OfPartition {
    fn declare(setup: &mut Setup) {
        in_words(setup.state("list")).operator_list::<Number>();
        in_words(setup.state("union")).union_list::<Number>();
        let reverse = |bytes: Vec<u8>| {
            Ok((!bytes.is_empty()).then(|| bytes.into_iter().rev().collect::<Vec<u8>>()))
        };
        let raw = setup.state("raw").schema_version(2).migrate_or_drop(1, reverse);
        raw.raw_operator();
    }
}

struct Broadcast;

impl Declare for Broadcast {
    fn declare(setup: &mut Setup) {
        in_words(setup.state("numbers")).broadcast::<u8, Number>();
    }
}

#[test]
fn operator_state_is_migrated() -> Result<()> {
    let mut state = of_partition::<OfPartition>().open()?;
    state.restore_operator_list("list", 1, &["1", "-2"])?;
    state.restore_operator_list("union", 2, &[5_i64])?;
    let strings: [&[u8]; 4] = [b"abc", b"", b"\xff\x00", &[7; 300]];
    state.restore_raw_operator("raw", 1, &strings)?;
    assert_eq!(state.operator_list_state::<Number>("list")?, [(false, 1), (true, 2)]);
    assert_eq!(state.operator_list_state::<Number>("union")?, [(false, 5)]);
    let raw: [&[u8]; 3] = [b"cba", b"\x00\xff", &[7; 300]];
    assert_eq!(state.raw_operator_state("raw")?, raw);
    let error = state.restore_operator_list("list", 1, &["unknown"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "operator state `list`, from version 1 to 2: element 0: \"unknown\" is no number"
    );

    let mut state = Harness::broadcast_process::<Keeper<Broadcast>>().open()?;
    state.restore_broadcast("numbers", 1, &[(2_u8, "2"), (1, "-1")])?;
    let numbers = state.broadcast_state::<u8, Number>("numbers")?;
    assert_eq!(numbers, [(1, (true, 1)), (2, (false, 2))]);
    Ok(())
}

/// Declares what cannot be, in one of several ways.
struct Wrong<const HOW: usize>;

impl<const HOW: usize> Declare for Wrong<HOW> {
    fn declare(setup: &mut Setup) {
        let state = setup.state("state");
        let same = |old: u64| Ok(old);
        match HOW {
            0 => declared(state.migrate(1, same).value::<u64>()),
            1 => declared(state.schema_version(2).migrate(0, same).migrate(1, same).value::<u64>()),
            2 => declared(state.schema_version(2).migrate(1, same).migrate(1, same).value::<u64>()),
            3 => declared(state.schema_version(4).migrate(1, same).migrate(3, same).value::<u64>()),
            4 => declared(state.schema_version(4).migrate(2, same).value::<u64>()),
            5 => declared(state.schema_version(2).migrate(1, same).value::<i64>()),
            6 => {
                let to_text = |old: u64| Ok(old.to_string());
                let state = state.schema_version(3).migrate(1, to_text).migrate(2, same);
                declared(state.list::<u64>());
            }
            7 => {
                let entry = |key: u64, value: u64| Ok((key, value));
                declared(state.schema_version(2).migrate_entries(1, entry).list::<u64>());
            }
            8 => {
                let entry = |key: u64, value: u64| Ok((key.to_string(), value));
                declared(state.schema_version(2).migrate_entries(1, entry).map::<u64, u64>());
            }
            9 => declared(state.schema_version(0).value::<u64>()),
            10 => declared(state.schema_version(2).migrate(1, same).raw_operator()),
            11 => {
                let step = |_: &[u8], old: u64| Ok(Some(old));
                declared(state.schema_version(2).migrate_with_key(1, step).union_list::<u64>());
            }
            _ => declared(state.schema_version(u32::MAX).migrate(u32::MAX, same).value::<u64>()),
        }
    }
}

fn refuse<const HOW: usize>() -> String {
    let error = keyed::<Wrong<HOW>>().open().err().map(|error| error.to_string());
    error.unwrap_or_else(|| "it was not refused".to_owned())
}

#[test]
fn steps_lead_to_the_declared_version_and_type() {
    assert_eq!(
        refuse::<0>(),
        "state `state`: the migration from version 1 leads past the declared schema version, 1; \
         write `.schema_version(2)`"
    );
    let begin = "schema versions begin at 1";
    assert_eq!(refuse::<1>(), format!("state `state`: {begin}, so none is migrated from 0"));
    assert_eq!(refuse::<2>(), "state `state`: there are two migrations from version 1");
    let gap = "on the way to 4";
    assert_eq!(
        refuse::<3>(),
        format!(
            "state `state`: there is a migration from version 1, but none from version 2 {gap}"
        )
    );
    assert_eq!(
        refuse::<4>(),
        format!(
            "state `state`: there is a migration from version 2, but none from version 3 {gap}"
        )
    );
    assert_eq!(
        refuse::<5>(),
        "state `state`: the migration from version 1 gives `u64`, but the state holds `i64`"
    );
    assert_eq!(
        refuse::<6>(),
        "state `state`: the migration from version 1 gives `String`, but the one from version 2 \
         takes `u64`"
    );
    assert_eq!(
        refuse::<7>(),
        "state `state`: the migration from version 1 is one of entries, which only maps have; use \
         `migrate`"
    );
    assert_eq!(
        refuse::<8>(),
        "state `state`: the migration from version 1 gives `String` -> `u64`, but the state holds \
         `u64` -> `u64`"
    );
    assert_eq!(refuse::<9>(), format!("state `state`: {begin}, and this one is 0"));
    assert_eq!(
        refuse::<10>(),
        "state `state`: raw operator state is migrated from `Vec<u8>` to `Vec<u8>`"
    );
    assert_eq!(
        refuse::<11>(),
        "state `state`: the migration from version 1 is one with the key, which operator state has \
         not; use `migrate`"
    );
    assert!(refuse::<12>().contains("leads past"), "{}", refuse::<12>());
}

/// A step that counts how often it is called.
struct Impure;

impl Declare for Impure {
    fn declare(setup: &mut Setup) {
        let calls = std::cell::Cell::new(0_u64);
        let step = move |old: u64| {
            calls.set(calls.get() + 1);
            Ok(old + calls.get())
        };
        let _ = setup.state("state").schema_version(2).migrate(1, step).value::<u64>();
    }
}

#[test]
fn a_step_that_is_not_pure_is_found_out() {
    let mut impure = keyed::<Impure>().open().unwrap();
    let error = impure.restore_value("state", 1, "k", &1_u64).unwrap_err().to_string();
    assert!(error.contains("gives something else the second time"), "{error}");
}

/// Keeps a word, in the first version as it is and in the second its length. `LIVES` says whether
/// for a minute or for ever.
struct Word<const LIVES: bool>(ValueState<String>);
struct Length<const LIVES: bool>(ValueState<u64>);

fn begin<const LIVES: bool>(setup: &mut Setup) -> StateBuilder<'_> {
    let state = setup.state("word");
    if LIVES { state.ttl(Ttl::new(Duration::from_secs(60))) } else { state }
}

impl<const LIVES: bool> RichFlatMapFunction for Word<LIVES> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        Ok(Self(begin::<LIVES>(setup).value()))
    }

    fn flat_map(&mut self, word: &str, ctx: &mut FlatMapContext<'_, String>) -> Result<()> {
        self.0.update(ctx, &word.to_owned())
    }
}

/// Sends the time of a record as long as the length is there.
impl<const LIVES: bool> RichFlatMapFunction for Length<LIVES> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let state = begin::<LIVES>(setup).schema_version(2);
        Ok(Self(state.migrate(1, |word: String| Ok(word.len() as u64)).value()))
    }

    fn flat_map(&mut self, _: &str, ctx: &mut FlatMapContext<'_, String>) -> Result<()> {
        if let Some(length) = self.0.value(ctx)? {
            ctx.collect(format!("{length} at {}", ctx.processing_time()));
        }
        Ok(())
    }
}

/// Until when a word lives that was written at 0 s, if its function is swapped at 50 s.
fn last_seen<const BEFORE: bool, const AFTER: bool>() -> Result<String> {
    let mut word = Harness::rich_flat_map::<Word<BEFORE>>().open()?;
    word.push("k", "word", 0)?;
    word.advance_processing_time(50_000)?;
    let mut length = word.swap(Harness::rich_flat_map::<Length<AFTER>>())?;
    for time in [50_000, 59_999, 60_000, 109_999, 110_000] {
        length.advance_processing_time(time)?;
        length.push("k", "", 0)?;
    }
    Ok(length.take_output().pop().unwrap_or_default())
}

#[test]
fn access_times_stay() -> Result<()> {
    assert_eq!(last_seen::<true, true>()?, "4 at 59999");
    assert_eq!(last_seen::<false, true>()?, "4 at 109999", "it counts as accessed at the swap");
    assert_eq!(last_seen::<true, false>()?, "4 at 110000");
    assert_eq!(last_seen::<false, false>()?, "4 at 110000");
    Ok(())
}

proptest! {
    /// Lists and maps of many keys, against the same steps on plain values.
    #[test]
    fn cells_are_as_their_values(
        lists in prop::collection::vec(prop::collection::vec(any::<i64>(), 0..6), 0..6),
        map in prop::collection::btree_map("[a-zA-Z]{0,3}", any::<u8>(), 0..8),
    ) {
        let mut numbers = keyed::<Numbers<true>>().open().unwrap();
        for (key, list) in lists.iter().enumerate() {
            let words: Vec<String> = list.iter().map(i64::to_string).collect();
            numbers.restore_list("list", 1, key.to_string(), &words).unwrap();
        }
        for (key, list) in lists.iter().enumerate() {
            let expected: Vec<Number> =
                list.iter().map(|number| (*number < 0, number.unsigned_abs())).collect();
            let migrated = numbers.list_state::<Number>("list", key.to_string()).unwrap();
            prop_assert_eq!(migrated, expected);
        }

        let mut others = keyed::<Others>().open().unwrap();
        let entries: Vec<(String, u8)> = map.into_iter().collect();
        let mut expected = BTreeMap::new();
        for (name, count) in &entries {
            expected.insert(name.to_lowercase(), u64::from(*count));
        }
        match others.restore_map("renamed", 1, "k", &entries) {
            Ok(()) => {
                let migrated = others.map_state::<String, u64>("renamed", "k").unwrap();
                prop_assert_eq!(migrated.into_iter().collect::<BTreeMap<_, _>>(), expected);
            }
            Err(error) => {
                prop_assert!(error.to_string().contains("two entries get the same key"));
                prop_assert!(expected.len() < entries.len());
            }
        }
    }
}
