//! What functions declare, how they open, and how they fail.

use super::instance::{describe, extract_keys};
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
    let values = |words: &[&str]| {
        let mut packed = Packed { bytes: Vec::new(), ends: Vec::new() };
        for word in words {
            packed.bytes.extend_from_slice(word.as_bytes());
            packed.ends.push(packed.bytes.len() as u32);
        }
        packed
    };
    let keys = extract_keys::<Keyed>(&values(&["a,1", "bc,2"])).unwrap();
    assert_eq!((keys.bytes, keys.ends), (b"ABC".to_vec(), vec![1, 3]));
    let fault = extract_keys::<Keyed>(&values(&["a,1", "b"])).unwrap_err();
    assert_eq!((fault.kind, fault.at), (Contract::Malformed, Some(1)));
    let fault = extract_keys::<crate::runtime::KeyedProcess<Everything>>(&values(&["a,1"]));
    assert!(fault.unwrap_err().message.contains("does not extract keys"));
}
