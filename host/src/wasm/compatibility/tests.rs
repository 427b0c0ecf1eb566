//! Every difference that two functions can have, with what it comes to.

use super::*;
use crate::model::{Format, Input, Kind, Output, Parameter, TimeDomain, TtlUpdate, TtlVisibility};

/// A function that has one of everything.
fn declaration() -> Declaration {
    let format = Format::Lines;
    let output = |name: &str| Output { name: name.into(), format };
    Declaration {
        kind: Kind::KeyedProcess,
        inputs: vec![Input { name: "main".into(), type_name: "String".into() }],
        outputs: vec![output("main"), output("late")],
        states: vec![state("count", StateKind::Value)],
        operator_states: vec![operator_state("rest", Redistribution::EvenSplit)],
        parameters: vec![parameter("size", Some("10"))],
        timers: true,
        extracts_keys: true,
    }
}

fn state(name: &str, kind: StateKind) -> StateDeclaration {
    let (name, type_name) = (name.into(), "u64".into());
    StateDeclaration { name, kind, schema_version: 1, type_name, ttl: None }
}

fn operator_state(name: &str, redistribution: Redistribution) -> OperatorStateDeclaration {
    let (name, type_name) = (name.into(), "u64".into());
    OperatorStateDeclaration { name, redistribution, schema_version: 1, type_name }
}

fn parameter(name: &str, default: Option<&str>) -> Parameter {
    let default = default.map(str::to_owned);
    Parameter { name: name.into(), type_name: "integer".into(), default }
}

/// An hour of the host's clock.
fn ttl() -> Ttl {
    Ttl {
        time_ms: 3_600_000,
        domain: TimeDomain::Processing,
        update: TtlUpdate::OnCreateAndWrite,
        visibility: TtlVisibility::NeverReturnExpired,
        cleanup_in_full_snapshot: false,
        cleanup_incrementally: 0,
        cleanup_in_compaction: true,
    }
}

fn step(state: &str, from_version: u32) -> Migration {
    Migration { state: state.into(), from_version }
}

/// A job that reads the main output, sets `size` and asks for keys.
fn usage() -> Usage<'static> {
    let (outputs_read, params) = (vec!["main"], vec!["size"]);
    Usage { outputs_read, params, extracts_keys: true, ttl_before: &[], ttl_after: &[] }
}

/// Changes what is compared: the function before, the one after, its steps.
type Change = fn(&mut Declaration, &mut Declaration, &mut Vec<Migration>);

/// What one change comes to: the verdict, what is told as different, and the advice. Nothing else
/// may be different.
#[track_caller]
fn assert_comes_to(usage: &Usage<'_>, change: Change, verdict: Verdict, told: &[(&str, &str)]) {
    let (mut before, mut after) = (declaration(), declaration());
    let mut steps = Vec::new();
    change(&mut before, &mut after, &mut steps);
    let comparison = compare_declarations(&before, &after, &steps, usage);
    let found: Vec<(&str, &str)> = comparison
        .differences
        .iter()
        .map(|difference| (difference.what.as_str(), difference.advice.as_str()))
        .collect();
    assert_eq!(found.len(), told.len(), "{found:?}");
    for ((what, advice), (wanted_what, wanted_advice)) in found.iter().zip(told) {
        assert_eq!(what, wanted_what);
        assert!(advice.contains(wanted_advice), "{wanted_advice:?} is not in {advice:?}");
    }
    assert_eq!(comparison.verdict, verdict, "{found:?}");
    let verdicts = comparison.differences.iter().map(|difference| difference.verdict);
    assert_eq!(verdicts.max().unwrap_or(Verdict::Identical), verdict);
}

#[test]
fn verdicts_are_in_order_and_the_first_three_allow() {
    use Verdict::{Compatible, Identical, Migrates, NeedsMigration, Refused};
    let all = [Identical, Compatible, Migrates, NeedsMigration, Refused];
    assert!(all.is_sorted());
    assert_eq!(all.map(Verdict::allows), [true, true, true, false, false]);
}

#[test]
fn the_same_is_identical() {
    assert_comes_to(&usage(), |_, _, _| {}, Verdict::Identical, &[]);
    // Nor does the order of declarations matter, nor which steps it could take.
    let change: Change = |before, after, steps| {
        for one in [before, &mut *after] {
            one.states.push(state("seen", StateKind::Map));
        }
        after.states.reverse();
        after.outputs.reverse();
        steps.push(step("count", 0));
    };
    assert_comes_to(&usage(), change, Verdict::Identical, &[]);
}

#[test]
fn compares_kinds_and_inputs() {
    assert_comes_to(
        &usage(),
        |_, after, _| after.kind = Kind::Process,
        Verdict::Refused,
        &[("it is a process function, not a keyed-process function", "savepoint")],
    );
    assert_comes_to(
        &usage(),
        |_, after, _| after.inputs[0].name = "clicks".into(),
        Verdict::Compatible,
        &[("input \"main\" is called \"clicks\"", "order")],
    );
    assert_comes_to(
        &usage(),
        |_, after, _| after.inputs[0].type_name = "u64".into(),
        Verdict::Compatible,
        &[("input \"main\" is decoded as u64, not String", "malformed")],
    );
}

#[test]
fn compares_timers_and_key_extraction() {
    assert_comes_to(
        &usage(),
        |_, after, _| after.timers = false,
        Verdict::Refused,
        &[("it has no timers, but timers of the running function may be pending", "callback")],
    );
    assert_comes_to(
        &usage(),
        |before, _, _| before.timers = false,
        Verdict::Compatible,
        &[("it registers timers", "none is pending")],
    );
    let extracts_none: Change = |_, after, _| after.extracts_keys = false;
    assert_comes_to(
        &usage(),
        extracts_none,
        Verdict::Refused,
        &[("it extracts no keys, which the job file asks it for", "selector")],
    );
    let by_field = Usage { extracts_keys: false, ..usage() };
    assert_comes_to(&by_field, extracts_none, Verdict::Identical, &[]);
}

#[test]
fn compares_outputs() {
    let late_is_read = Usage { outputs_read: vec!["main", "late"], ..usage() };
    let gone: Change = |_, after, _| drop(after.outputs.pop());
    let told = "output \"late\" is gone";
    assert_comes_to(&usage(), gone, Verdict::Compatible, &[(told, "nobody reads it")]);
    assert_comes_to(
        &late_is_read,
        gone,
        Verdict::Refused,
        &[("output \"late\" is gone, which the job reads", "keep the output")],
    );
    let format: Change = |_, after, _| after.outputs[1].format = Format::Json;
    let told = "output \"late\" is json instead of lines";
    assert_comes_to(&usage(), format, Verdict::Compatible, &[(told, "nobody reads it")]);
    assert_comes_to(&late_is_read, format, Verdict::Refused, &[(told, "output of its own")]);
    assert_comes_to(
        &usage(),
        |before, _, _| drop(before.outputs.pop()),
        Verdict::Compatible,
        &[("output \"late\" is new", "restarted")],
    );
    assert_comes_to(
        &late_is_read,
        |_, after, _| after.outputs[1].name = "later".into(),
        Verdict::Refused,
        &[
            ("output \"late\" is gone, which the job reads", "keep the output"),
            ("output \"later\" is new", "restarted"),
        ],
    );
}

#[test]
fn compares_which_states_there_are() {
    let kept = "kept until the swap is confirmed";
    assert_comes_to(
        &usage(),
        |_, after, _| after.states[0].name = "tally".into(),
        Verdict::Compatible,
        &[("state \"count\" is gone", kept), ("state \"tally\" is new", "begins empty")],
    );
    assert_comes_to(
        &usage(),
        |_, after, _| after.operator_states[0].name = "others".into(),
        Verdict::Compatible,
        &[
            ("operator state \"rest\" is gone", kept),
            ("operator state \"others\" is new", "begins empty"),
        ],
    );
}

#[test]
fn a_state_of_another_kind_is_refused_whatever_its_version() {
    use StateKind::{Aggregating, List, Map, Reducing, Value};
    let kinds = [Value, List, Map, Reducing, Aggregating];
    for had in kinds {
        for has in kinds {
            let [mut before, mut after] = [declaration(), declaration()];
            before.states = vec![state("count", had)];
            after.states = vec![StateDeclaration { schema_version: 2, ..state("count", has) }];
            let comparison = compare_declarations(&before, &after, &[step("count", 1)], &usage());
            let [difference] = &comparison.differences[..] else { panic!("{comparison:?}") };
            if had == has {
                assert_eq!(comparison.verdict, Verdict::Migrates);
                continue;
            }
            assert_eq!(comparison.verdict, Verdict::Refused, "{had:?} to {has:?}");
            let wanted = format!("state \"count\" is a {}, not a {}", word(has), word(had));
            assert_eq!(difference.what, wanted);
            assert_eq!(difference.advice, "a state of another kind needs another name");
        }
    }
    use Redistribution::{Broadcast, EvenSplit, Union};
    for (had, has) in [(EvenSplit, Union), (Union, Broadcast), (Broadcast, EvenSplit)] {
        let [mut before, mut after] = [declaration(), declaration()];
        before.operator_states = vec![operator_state("rest", had)];
        after.operator_states = vec![operator_state("rest", has)];
        let comparison = compare_declarations(&before, &after, &[], &usage());
        assert_eq!(comparison.verdict, Verdict::Refused, "{had:?} to {has:?}");
        let what = &comparison.differences[0].what;
        assert!(what.contains(has.name()) && what.contains(had.name()), "{what}");
    }
}

#[test]
fn compares_schema_versions_and_types() {
    assert_comes_to(
        &usage(),
        |_, after, _| after.states[0].type_name = "String".into(),
        Verdict::NeedsMigration,
        &[(
            "state \"count\" is of type String, not u64, in the same schema version",
            "raise its schema version to 2 and add a migration from 1",
        )],
    );
    assert_comes_to(
        &usage(),
        |_, after, _| after.states[0].schema_version = 2,
        Verdict::NeedsMigration,
        &[(
            "state \"count\" has schema version 2, what is there has 1",
            "add a migration from version 1 to 2",
        )],
    );
    assert_comes_to(
        &usage(),
        |before, _, _| before.states[0].schema_version = 2,
        Verdict::Refused,
        &[(
            "state \"count\" has schema version 1, less than the 2 of what is there",
            "--to-previous",
        )],
    );
    assert_comes_to(
        &usage(),
        |_, after, _| {
            after.operator_states[0].schema_version = 2;
            after.operator_states[0].type_name = "String".into();
        },
        Verdict::NeedsMigration,
        &[("operator state \"rest\" has schema version 2, what is there has 1", "from version 1")],
    );
}

#[test]
fn wants_every_step_on_the_way() {
    /// To version 3 by these steps.
    fn to_3(after: &mut Declaration, steps: &mut Vec<Migration>, from: &[(&str, u32)]) {
        after.states[0].schema_version = 3;
        after.operator_states[0].schema_version = 3;
        steps.extend(from.iter().map(|(state, from)| step(state, *from)));
    }
    let told = "state \"count\" has schema version 3, what is there has 1";
    let of_operator = "operator state \"rest\" goes from schema version 1 to 3";
    assert_comes_to(
        &usage(),
        |_, after, steps| to_3(after, steps, &[("count", 2), ("rest", 1), ("rest", 2)]),
        Verdict::NeedsMigration,
        &[(told, "from version 1 to 2"), (of_operator, "first access")],
    );
    assert_comes_to(
        &usage(),
        |_, after, steps| to_3(after, steps, &[("count", 1), ("rest", 2), ("rest", 1)]),
        Verdict::NeedsMigration,
        &[(told, "from version 2 to 3"), (of_operator, "first access")],
    );
    assert_comes_to(
        &usage(),
        |_, after, steps| {
            to_3(after, steps, &[("count", 2), ("count", 1), ("rest", 2), ("rest", 1)]);
        },
        Verdict::Migrates,
        &[("state \"count\" goes from schema version 1 to 3", "confirmed"), (of_operator, "")],
    );
    // Steps that come before what is there are not needed, nor are those of other states of use.
    assert_comes_to(
        &usage(),
        |before, after, steps| {
            before.states[0].schema_version = 2;
            before.operator_states[0].schema_version = 3;
            to_3(after, steps, &[("rest", 2)]);
        },
        Verdict::NeedsMigration,
        &[("state \"count\" has schema version 3, what is there has 2", "from version 2 to 3")],
    );
}

#[test]
fn compares_times_to_live_as_the_job_has_them() {
    let event = Ttl { domain: TimeDomain::Event, ..ttl() };
    let longer = Ttl { time_ms: 7_200_000, ..ttl() };
    let on_read = Ttl { update: TtlUpdate::OnReadAndWrite, ..ttl() };
    for (had, has, what, advice) in [
        (None, Some(ttl()), "is 3600000 ms in processing time, not none", "accessed at the swap"),
        (Some(ttl()), None, "is none, not 3600000 ms in processing time", "for ever"),
        (
            Some(ttl()),
            Some(event),
            "is 3600000 ms in event time, not 3600000 ms in processing time",
            "by the new clock",
        ),
        (
            Some(ttl()),
            Some(longer),
            "is 7200000 ms in processing time, not 3600000 ms in processing time",
            "for what is there too",
        ),
        (Some(ttl()), Some(on_read), "has other settings", "for what is there too"),
    ] {
        let usage = Usage { ttl_before: &[had], ttl_after: &[has], ..usage() };
        let what = format!("the time to live of state \"count\" {what}");
        assert_comes_to(&usage, |_, _, _| {}, Verdict::Compatible, &[(&what, advice)]);
    }
    // What functions declare does not matter where the job file says something else.
    let (both, declares): ([_; 1], Change) =
        ([Some(ttl())], |_, after, _| after.states[0].ttl = None);
    let usage = Usage { ttl_before: &both, ttl_after: &both, ..usage() };
    assert_comes_to(&usage, declares, Verdict::Identical, &[]);
}

#[test]
fn compares_parameters() {
    let unset = Usage { params: vec![], ..usage() };
    let required: Change = |_, after, _| after.parameters[0].default = None;
    assert_comes_to(&usage(), required, Verdict::Identical, &[]);
    let told = "parameter \"size\" (integer) must be set, which the job file does not do";
    assert_comes_to(&unset, required, Verdict::Refused, &[(told, "give it a default")]);
    let added: Change = |before, _, _| before.parameters.clear();
    let told = "parameter \"size\" is new";
    assert_comes_to(&usage(), added, Verdict::Compatible, &[(told, "the job file sets it")]);
    assert_comes_to(&unset, added, Verdict::Compatible, &[(told, "it is 10")]);
    let gone: Change = |_, after, _| after.parameters.clear();
    let told = "parameter \"size\" is gone";
    assert_comes_to(&usage(), gone, Verdict::Compatible, &[(told, "not passed on")]);
    assert_comes_to(&unset, gone, Verdict::Compatible, &[(told, "does not set it")]);
    let other_type: Change = |_, after, _| after.parameters[0].type_name = "text".into();
    let told = "parameter \"size\" is of type text, not integer";
    assert_comes_to(&usage(), other_type, Verdict::Compatible, &[(told, "took it")]);
    let other_default: Change = |_, after, _| after.parameters[0].default = Some("20".into());
    assert_comes_to(&usage(), other_default, Verdict::Identical, &[]);
    let told = "parameter \"size\" is 20 by default, not 10";
    assert_comes_to(&unset, other_default, Verdict::Compatible, &[(told, "new default")]);
}

#[test]
fn the_worst_difference_decides() {
    assert_comes_to(
        &usage(),
        |_, after, steps| {
            after.outputs.push(Output { name: "more".into(), format: Format::Csv });
            after.states[0].schema_version = 2;
            steps.push(step("count", 1));
            after.operator_states[0].type_name = "i64".into();
        },
        Verdict::NeedsMigration,
        &[
            ("output \"more\" is new", ""),
            ("state \"count\" goes from schema version 1 to 2", ""),
            (
                "operator state \"rest\" is of type i64, not u64, in the same schema version",
                "raise its schema version to 2",
            ),
        ],
    );
}
