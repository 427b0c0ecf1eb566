//! What functions declare, how they open, and how they fail.

use super::instance::{Instance, describe, describe_migrations, extract_keys};
use crate::bindings::exports::tidegate::function::function::OpenContext;
use crate::bindings::tidegate::function::declarations::{Kind, StateKind};
use crate::bindings::tidegate::function::types::{FaultKind as Contract, Packed};
use crate::codec::Format;
use crate::prelude::*;
use crate::testing::{Fault, FaultKind, Harness};

/// Declares one of everything.
struct Everything {
    late: SideOutput<Csv<(String, i64)>>,
    threshold: f64,
}

impl KeyedProcessFunction for Everything {
    type In<'a> = Csv<(&'a str, i64)>;
    type Out = Json<String>;

    fn open(setup: &mut Setup) -> Result<Self> {
        let threshold = setup.param("threshold", 10.5)?;
        setup.required_param::<String>("topic")?;
        setup.param("period", Duration::from_secs(60))?;
        setup.value_state::<u64>("count");
        setup.state("names").schema_version(3).list::<String>();
        setup.map_state::<String, u8>("map");
        setup.reducing_state("total", |a: u64, b| a + b);
        Ok(Self { late: setup.side_output("late"), threshold })
    }

    fn process_element(
        &mut self,
        Csv((word, number)): Self::In<'_>,
        ctx: &mut KeyedContext<'_, Self::Out>,
    ) -> Result<()> {
        if number as f64 > self.threshold {
            bail!("{number} is over the threshold");
        }
        if ctx.timestamp()? < ctx.current_watermark() {
            ctx.output(&self.late, Csv((word.to_owned(), number)));
        } else {
            ctx.collect(Json(word.to_owned()));
        }
        Ok(())
    }
}

fn open() -> Harness<crate::testing::WithKeys> {
    Harness::keyed_process::<Everything>().param("topic", "t").open().unwrap()
}

#[test]
fn declares_what_open_asks_for() {
    let harness = open();
    let declaration = harness.declaration();
    assert_eq!(declaration.kind, Kind::KeyedProcess);
    assert!(declaration.timers && !declaration.extracts_keys);
    assert_eq!(declaration.inputs[0].type_name, "Csv<(&str, i64)>");

    let outputs: Vec<_> =
        declaration.outputs.iter().map(|output| (output.name.as_str(), output.format)).collect();
    assert_eq!(outputs, [("main", Format::Json), ("late", Format::Csv)]);

    let states: Vec<_> = declaration
        .states
        .iter()
        .map(|state| (state.name.as_str(), state.kind, state.schema_version, &*state.type_name))
        .collect();
    assert_eq!(
        states,
        [
            ("count", StateKind::Value, 1, "u64"),
            ("names", StateKind::List, 3, "String"),
            ("map", StateKind::Map, 1, "(String, u8)"),
            ("total", StateKind::Reducing, 1, "u64"),
        ]
    );

    let parameters: Vec<_> = declaration
        .parameters
        .iter()
        .map(|parameter| {
            (parameter.name.as_str(), &*parameter.type_name, parameter.default.as_deref())
        })
        .collect();
    assert_eq!(
        parameters,
        [
            ("threshold", "number", Some("10.5")),
            ("topic", "text", None),
            ("period", "duration", Some("1m")),
        ]
    );
}

#[test]
fn refuses_bad_parameters() {
    let refuse = |name, text| {
        let builder = Harness::keyed_process::<Everything>().param(name, text);
        builder.open().err().unwrap().to_string()
    };
    assert_eq!(
        refuse("threshold", "high"),
        "failed: parameter `threshold` (number): cannot read \"high\"; write a number such as \
         \"10\" or \"0.5\""
    );
    assert_eq!(
        refuse("period", "1s"),
        "failed: parameter `topic` (text) is required; write any text"
    );
    assert_eq!(refuse("perod", "1s"), "parameter `perod` is not declared");
}

/// Fails to be described, in the way that its number says.
struct Wrong<const HOW: usize>;

impl<const HOW: usize> ProcessFunction for Wrong<HOW> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        match HOW {
            0 => bail!("no default is good"),
            1 => _ = setup.value_state::<u8>("state"),
            2 => _ = (setup.side_output::<String>("a"), setup.side_output::<String>("a")),
            3 => _ = setup.side_output::<String>("main"),
            4 if setup.param("wide", false)? => _ = setup.side_output::<String>("wide"),
            _ => {}
        }
        Ok(Self)
    }

    fn process_element(&mut self, _: &str, ctx: &mut ProcessContext<'_, String>) -> Result<()> {
        ctx.collect_fmt(format_args!("{}", ctx.processing_time()));
        Ok(())
    }
}

fn refuse<const HOW: usize>() -> String {
    Harness::process::<Wrong<HOW>>().open().err().unwrap().to_string()
}

#[test]
fn refuses_declarations_that_cannot_be() {
    let message = refuse::<0>();
    assert!(message.starts_with("`open` failed while the function was described"), "{message}");
    assert!(message.ends_with(": no default is good"), "{message}");
    assert_eq!(
        refuse::<1>(),
        "state `state`: this kind of function has no key, and so no keyed state; it can have \
         operator state"
    );
    assert_eq!(refuse::<2>(), "output `a` is declared twice");
    assert_eq!(refuse::<3>(), "output `main` is declared twice");
}

#[test]
fn refuses_to_declare_something_else_than_described() {
    let builder = Harness::process::<Wrong<4>>();
    assert_eq!(
        builder.param("wide", "true").open().err().unwrap().to_string(),
        "failed: `open` must declare the same whatever the parameters are; with these it declares \
         [output `main`, output `wide`], and on defaults [output `main`]"
    );
    let mut harness = Harness::process::<Wrong<4>>().open().unwrap();
    harness.advance_processing_time(7).unwrap();
    harness.push("x", 0).unwrap();
    assert_eq!(harness.take_output(), ["7"]);
}

#[test]
fn faults_name_the_record() {
    let mut harness = open();
    let fault = harness.push_all([("k", "a,1", 0), ("k", "b", 0), ("k", "c,99", 0)]).unwrap_err();
    assert_eq!(
        fault,
        Fault {
            kind: FaultKind::Malformed,
            at: Some(1),
            message: "expected 2 fields, found 1 in \"b\"".to_owned(),
        }
    );
    let fault = harness.push_all([("k", "a,1", 0), ("k", "c,99", 0)]).unwrap_err();
    assert_eq!((fault.kind, fault.at), (FaultKind::Failed, Some(1)));
    assert_eq!(fault.message, "99 is over the threshold");
    assert_eq!(harness.take_output(), Vec::<String>::new(), "a fault has no effects");

    let fault = harness.push_untimed("k", "a,1").unwrap_err();
    assert!(fault.message.contains("no event time"), "{fault}");
}

#[test]
fn outputs_go_where_they_are_sent() {
    let mut harness = open();
    harness.push("k", "a,1", 5).unwrap();
    harness.advance_watermark(10).unwrap();
    harness.push_all([("k", "b,2", 9), ("k", "c,3", 10)]).unwrap();
    assert_eq!(harness.take_output(), ["\"a\"", "\"c\""]);
    assert_eq!(harness.take_side_output("late"), ["b,2"]);
}

/// An output that cannot be written.
struct Unwritable;

impl RichFlatMapFunction for Unwritable {
    type In<'a> = &'a str;
    type Out = Csv<std::collections::BTreeMap<u8, u8>>;

    fn open(_setup: &mut Setup) -> Result<Self> {
        Ok(Self)
    }

    fn flat_map(&mut self, _: &str, ctx: &mut FlatMapContext<'_, Self::Out>) -> Result<()> {
        ctx.collect(Csv(Default::default()));
        Ok(())
    }
}

#[test]
fn an_output_that_cannot_be_written_is_a_fault() {
    let mut harness = Harness::rich_flat_map::<Unwritable>().open().unwrap();
    let fault = harness.push("k", "x", 0).unwrap_err();
    assert_eq!((fault.kind, fault.at), (FaultKind::Failed, Some(0)));
    assert_eq!(fault.message, "Csv writes fields by position and cannot write a map");
}

struct ByWord;

impl KeySelector for ByWord {
    type In<'a> = Csv<(&'a str, i64)>;

    fn key(Csv((word, _)): Self::In<'_>) -> Result<Vec<u8>> {
        Ok(word.to_uppercase().into_bytes())
    }
}

#[test]
fn a_key_selector_is_declared_and_finds_the_keys() {
    type Keyed = crate::runtime::KeyedBy<crate::runtime::KeyedProcess<Everything>, ByWord>;
    assert!(describe::<Keyed>().unwrap().extracts_keys);
    let keys = extract_keys::<Keyed>(&packed(&["a,1", "bc,2"])).unwrap();
    assert_eq!((keys.bytes, keys.ends), (b"ABC".to_vec(), vec![1, 3]));
    let fault = extract_keys::<Keyed>(&packed(&["a,1", "b"])).unwrap_err();
    assert_eq!((fault.kind, fault.at), (Contract::Malformed, Some(1)));
    let fault = extract_keys::<crate::runtime::KeyedProcess<Everything>>(&packed(&["a,1"]));
    assert!(fault.unwrap_err().message.contains("does not extract keys"));
}

fn packed(strings: &[impl AsRef<[u8]>]) -> Packed {
    let mut packed = Packed { bytes: Vec::new(), ends: Vec::new() };
    for string in strings {
        packed.bytes.extend_from_slice(string.as_ref());
        packed.ends.push(packed.bytes.len() as u32);
    }
    packed
}

/// Has state of each form, some of it migrated. `NEWEST` is the version of the first.
struct Migrating<const NEWEST: u32>;

impl<const NEWEST: u32> RichMapFunction for Migrating<NEWEST> {
    type In<'a> = &'a str;
    type Out = String;

    fn open(setup: &mut Setup) -> Result<Self> {
        let number = |old: u8| match old {
            13 => bail!("unlucky"),
            0 => Ok(None),
            old => Ok(Some(old + 1)),
        };
        let state = setup.state("number").schema_version(NEWEST);
        let state =
            (1..NEWEST).rev().fold(state, |state, from| state.migrate_or_drop(from, number));
        state.value::<u8>();
        setup.value_state::<u8>("as ever");
        let list = setup.state("list").schema_version(2);
        list.migrate_or_drop(1, number).operator_list::<u8>();
        if setup.param("more", false)? {
            setup.state("more").schema_version(2).migrate_or_drop(1, number).list::<u8>();
        }
        Ok(Self)
    }

    fn map(&mut self, line: &str, _: &mut MapContext<'_>) -> Result<String> {
        Ok(line.to_owned())
    }
}

fn open_migrating() -> Instance {
    let context = OpenContext {
        operator: "test".to_owned(),
        partition: 0,
        parallelism: 1,
        parameters: Vec::new(),
        ttl: vec![None, None],
    };
    Instance::open::<crate::runtime::RichMap<Migrating<3>>>(context).unwrap()
}

#[test]
fn describes_each_step_by_state_and_version() {
    let steps = describe_migrations::<crate::runtime::RichMap<Migrating<4>>>().unwrap();
    let steps: Vec<_> = steps.iter().map(|step| (step.state.as_str(), step.from_version)).collect();
    assert_eq!(steps, [("number", 1), ("number", 2), ("number", 3), ("list", 1)]);
    let none = describe_migrations::<crate::runtime::KeyedProcess<Everything>>().unwrap();
    assert!(none.is_empty());
}

#[test]
fn migrates_a_column_of_cells() {
    let instance = open_migrating();
    let keys = packed(&["a", "b", "c"]);
    let cells = packed(&[[7], [0], [9]]);
    let migrated = instance.migrate("number", 1, &keys, &cells).unwrap();
    assert_eq!(migrated.forms, [1, 0, 1]);
    assert_eq!((migrated.values.bytes, migrated.values.ends), (vec![8, 10], vec![1, 1, 2]));

    let list = packed(&[[1, 0, 0, 0, 5, 1, 0, 0, 0, 0, 1, 0, 0, 0, 6]]);
    let migrated = instance.migrate("list", 1, &packed(&[""]), &list).unwrap();
    assert_eq!(migrated.forms, [1]);
    assert_eq!(migrated.values.bytes, [1, 0, 0, 0, 6, 1, 0, 0, 0, 7]);
    let none = packed(&[""; 0]);
    assert!(instance.migrate("number", 1, &none, &none).unwrap().forms.is_empty());
}

#[test]
fn a_migration_that_fails_names_the_cell() {
    let instance = open_migrating();
    let (keys, cells) = (packed(&["a", "b"]), packed(&[[7], [13]]));
    let fault = instance.migrate("number", 2, &keys, &cells).unwrap_err();
    assert_eq!((fault.kind, fault.at), (Contract::Failed, Some(1)));
    assert_eq!(fault.message, "state `number` of key \"b\", from version 2 to 3: unlucky");
    for (state, from) in [("number", 3), ("number", 0), ("as ever", 1), ("missing", 1)] {
        let fault = instance.migrate(state, from, &keys, &cells).unwrap_err();
        assert_eq!((fault.kind, fault.at), (Contract::Failed, None));
        let problem = format!("state `{state}` has no migration from schema version {from}");
        assert!(fault.message.starts_with(&problem), "{}", fault.message);
    }
}

#[test]
fn migrations_do_not_depend_on_parameters() {
    let builder = Harness::rich_map::<Migrating<2>>().param("more", "true");
    let message = builder.open().err().unwrap().to_string();
    assert!(message.contains("`open` must declare the same whatever the parameters"), "{message}");
    assert!(message.contains("migration of `more` from version 1"), "{message}");
}
