//! What is declared, and settings that no window can have.

use super::{Every, numbers};
use crate::bindings::tidegate::function::declarations::{Kind, StateKind};
use crate::codec::Format;
use crate::prelude::*;
use crate::runtime::{Adaptor as _, KeyedBy, Window, describe};
use crate::testing::Harness;

#[test]
fn a_window_function_declares_its_windows_and_late_records() {
    let harness = numbers("").open().unwrap();
    let declaration = harness.declaration();
    assert_eq!(declaration.kind, Kind::KeyedProcess);
    assert!(declaration.timers);
    let outputs: Vec<_> =
        declaration.outputs.iter().map(|output| (output.name.as_str(), output.format)).collect();
    assert_eq!(outputs, [("main", Format::Lines), ("late", Format::Csv)]);
    let states: Vec<_> =
        declaration.states.iter().map(|state| (state.name.as_str(), state.kind)).collect();
    assert_eq!(states, [("fired", StateKind::Value), ("windows", StateKind::Map)]);

    let every = Harness::window::<Every<3>>().open().unwrap();
    let state = &every.declaration().states[0];
    assert_eq!((state.name.as_str(), state.kind), ("windows", StateKind::Value));
    assert_eq!(state.type_name, "(u64, i64)");
}

#[track_caller]
fn assert_refused(parameters: &str, message: &str) {
    let error = numbers(parameters).open().err().expect("refused");
    assert!(error.message().ends_with(message), "{error}");
}

#[test]
fn settings_that_cannot_be_are_refused() {
    assert_refused("size=0s", "`Windows::tumbling`: the size is 0ns; it must be at least 1ms");
    assert_refused(
        "kind=sliding size=0s",
        "`Windows::sliding`: the size is 0ns; it must be at least 1ms",
    );
    assert_refused(
        "kind=sliding slide=0s",
        "`Windows::sliding`: the slide is 0ns; it must be at least 1ms",
    );
    assert_refused(
        "kind=session size=0s",
        "`Windows::session`: the gap is 0ns; it must be at least 1ms",
    );
    assert_refused(
        "offset=10ms",
        "`Windows::tumbling`: the offset is 10ms; it must be less than the size, 10ms",
    );
    assert_refused(
        "kind=sliding offset=7ms",
        "`Windows::sliding`: the offset is 7ms; it must be less than the slide, 5ms",
    );
    assert_refused(
        "kind=session offset=1ms",
        "`Windows::session` has no offset, as tumbling and sliding windows have; leave `.offset` \
         out",
    );
    assert_refused(
        "processing=true lateness=1ms",
        "in processing time no record is late; leave `.allowed_lateness` out",
    );
    let error = Harness::window::<Every<0>>().open().err().expect("refused");
    assert!(error.message().contains("`Windows::count`: the size is 0;"), "{error}");
}

/// Asks for windows of counts with what they have not, and for names that are not free.
struct Wrong<const CASE: u8>;

impl<const CASE: u8> WindowFunction for Wrong<CASE> {
    type In<'a> = &'a str;
    type Acc = ();
    type Out = String;

    fn open(setup: &mut Setup) -> Result<(Self, Windows)> {
        let (day, count) = (Duration::from_secs(86_400), Windows::count(2));
        let windows = match CASE {
            0 => count.offset(day),
            1 => count.allowed_lateness(day),
            2 => count.processing_time(),
            3 => Windows::tumbling(setup.required_param("size")?),
            _ => count,
        };
        if CASE == 4 {
            setup.value_state::<u64>("windows");
        }
        if CASE == 5 {
            setup.side_output::<String>("late");
        }
        Ok((Self, windows))
    }

    fn create_accumulator(&self) {}

    fn add(&self, _value: &&str, _accumulator: &mut ()) -> Result<()> {
        Ok(())
    }

    fn merge(&self, _earlier: (), _later: ()) {}

    fn window(&mut self, _: TimeWindow, _: (), _: &mut WindowContext<'_, String>) -> Result<()> {
        Ok(())
    }
}

#[test]
fn count_windows_have_neither_clock_nor_offset() {
    let message = |error: Option<Error>| error.expect("refused").message().to_owned();
    let offset = message(Harness::window::<Wrong<0>>().open().err());
    assert!(offset.contains("`Windows::count` has no offset"), "{offset}");
    let lateness = message(Harness::window::<Wrong<1>>().open().err());
    assert!(lateness.contains("leave `.allowed_lateness` out"), "{lateness}");
    let clock = message(Harness::window::<Wrong<2>>().open().err());
    assert!(clock.contains("`Windows::count` has no clock"), "{clock}");
}

/// While a function is described a required duration is 0, which is no size.
#[test]
fn the_size_may_be_a_required_parameter() {
    assert!(Harness::window::<Wrong<3>>().param("size", "1s").open().is_ok());
    let error = Harness::window::<Wrong<3>>().param("size", "0s").open().err().expect("refused");
    assert!(error.message().ends_with("it must be at least 1ms"), "{error}");
}

#[test]
fn the_names_of_the_sdk_are_taken() {
    let state = Harness::window::<Wrong<4>>().open().err().expect("refused");
    assert!(state.message().contains("the state `windows` of a window function"), "{state}");
    let output = Harness::window::<Wrong<5>>().open().err().expect("refused");
    assert!(output.message().contains("the output `late` of a window function"), "{output}");
}

/// The key is what stands before the first dash.
struct ByPrefix;

impl KeySelector for ByPrefix {
    type In<'a> = Csv<(&'a str, i64)>;

    fn key(Csv((name, _)): Self::In<'_>) -> Result<Vec<u8>> {
        Ok(name.split('-').next().unwrap_or(name).as_bytes().to_vec())
    }
}

crate::export!(window: Every<2>, key_by: ByPrefix);

#[test]
fn a_window_function_may_find_its_keys() {
    type Keyed = KeyedBy<Window<Every<2>>, ByPrefix>;
    assert!(describe::<Keyed>().unwrap().extracts_keys);
    assert_eq!(Keyed::extract_key(b"s1-7,5").unwrap(), b"s1");
}
