//! The matrix of changes at a swap: each difference that two versions of a function can have, in
//! each kind of state. For each there is a prediction: what `swap --dry-run` says, what the swap
//! itself says, and whether the counts of a running job go on or begin anew.

use tidegate_tests::binary::component;
use tidegate_tests::chameleon::{Chameleon, Counts, Settings, Version};

use Counts::{Anew, On};
use Predicted::{Compatible, Identical, Migrates, NeedsMigration, Refused};

/// What a swap comes to.
#[derive(Clone, Copy, PartialEq)]
enum Predicted {
    Identical,
    Compatible,
    Migrates,
    NeedsMigration,
    Refused,
}

impl Predicted {
    fn text(self) -> &'static str {
        match self {
            Identical => "identical",
            Compatible => "compatible",
            Migrates => "compatible, with migrations",
            NeedsMigration => "needs a migration",
            Refused => "refused",
        }
    }

    fn allows(self) -> bool {
        matches!(self, Identical | Compatible | Migrates)
    }
}

/// A difference: what the version before has besides a state, what the version after has, and what
/// is predicted. `NAME` is that of the state.
struct Row {
    before: &'static str,
    after: &'static str,
    predicted: Predicted,
    /// Of the answer.
    told: &'static str,
    /// What the version after does if it takes over.
    counts: Counts,
}

const fn row(
    before: &'static str,
    after: &'static str,
    predicted: Predicted,
    told: &'static str,
    counts: Counts,
) -> Row {
    Row { before, after, predicted, told, counts }
}

const V1: &str = "";
const V2: &str = "version=2;type=String";
const V2_BY_STEP: &str = "version=2;type=String;steps=1";
const V3: &str = "version=3;type=Noted";
const V3_BY_STEP: &str = "version=3;type=Noted;steps=2";
const V3_BY_STEPS: &str = "version=3;type=Noted;steps=1,2";

/// What any state can have.
const OF_ANY_STATE: &[Row] = &[
    row(V1, V1, Identical, "", On),
    row(V1, "name=other-NAME", Compatible, "\"other-NAME\" is new\n    it begins empty", Anew),
    row(V1, "name=more-NAME", Compatible, "\"NAME\" is gone\n    it is kept until", Anew),
    row(V1, "extra=extra-NAME", Compatible, "state \"extra-NAME\" is new", On),
    row("extra=extra-NAME", V1, Compatible, "state \"extra-NAME\" is gone", On),
    row(V1, "type=String", NeedsMigration, "in the same schema version\n    raise its", On),
    row(V1, V2, NeedsMigration, "add a migration from version 1 to 2", On),
    row(V1, V2_BY_STEP, Migrates, "\"NAME\" goes from schema version 1 to 2", On),
    row(V1, V3, NeedsMigration, "add a migration from version 1 to 2", On),
    row(V1, V3_BY_STEP, NeedsMigration, "add a migration from version 1 to 2", On),
    row(V1, V3_BY_STEPS, Migrates, "\"NAME\" goes from schema version 1 to 3", On),
    row(V2, V3_BY_STEP, Migrates, "\"NAME\" goes from schema version 2 to 3", On),
    row(V2, V3_BY_STEPS, Migrates, "\"NAME\" goes from schema version 2 to 3", On),
    row(V2, V2_BY_STEP, Identical, "", On),
    row(V2, V1, Refused, "has schema version 1, less than the 2 of what is there", On),
    row(V3, V2_BY_STEP, Refused, "has schema version 2, less than the 3 of what is there", On),
];

/// What only keyed state can have.
const OF_KEYED_STATE: &[Row] = &[
    row(V1, "ttl=processing", Compatible, "is 3600000 ms in processing time, not none", On),
    row("ttl=processing", V1, Compatible, "is none, not 3600000 ms in processing time", On),
    row(V1, "ttl=event", Compatible, "is 3600000 ms in event time, not none", On),
    row("ttl=event", V1, Compatible, "is none, not 3600000 ms in event time", On),
    row("ttl=event", "ttl=processing", Compatible, "accessed at the swap, by the new clock", On),
    row("ttl=processing", "ttl=event", Compatible, "accessed at the swap, by the new clock", On),
    row("ttl=processing", "ttl=longer", Compatible, "it holds for what is there too", On),
    row("ttl=processing", "ttl=processing", Identical, "", On),
    row(
        V1,
        "ttl=event;version=2;type=String;steps=1",
        Migrates,
        "compatible: the time to live of state \"NAME\" is 3600000 ms in event time, not none",
        On,
    ),
    row(
        "ttl=processing",
        "ttl=event;version=3;type=Noted;steps=1,2",
        Migrates,
        "compatible: the time to live of state \"NAME\" is 3600000 ms in event time, not 3600000",
        On,
    ),
    row(
        "ttl=processing",
        "version=2;type=String;steps=1",
        Migrates,
        "compatible: the time to live of state \"NAME\" is none",
        On,
    ),
    row(
        V1,
        "kind=even-split",
        Compatible,
        "operator state \"NAME\" is new\n    it begins empty",
        Anew,
    ),
];

/// What a state of one kind is refused to become.
const KINDS: &[(&str, &str)] = &[
    ("value", "value"),
    ("list", "list"),
    ("map", "map"),
    ("reducing", "reducing state"),
    ("aggregating", "aggregating state"),
];

/// What the function has besides states, in a job that reads its main output and `side`, and sets
/// `limit` to 9.
const OF_FUNCTION: &[Row] = &[
    row(V1, "side=", Refused, "output \"side\" is gone, which the job reads", On),
    row(V1, "side=aside:lines", Refused, "output \"side\" is gone, which the job reads", On),
    row(V1, "side=side:csv", Refused, "output \"side\" is csv instead of lines", On),
    row(V1, "param=", Compatible, "\"limit\" is gone\n    what the job file sets is not", On),
    row("param=", V1, Compatible, "\"limit\" is new\n    the job file sets it", On),
    row("param=", "param=limit:integer:required", Compatible, "\"limit\" is new", On),
    row(V1, "param=limit:integer:required", Identical, "", On),
    row(V1, "param=limit:integer:8", Identical, "", On),
    row(V1, "param=limit:text:7", Compatible, "\"limit\" is of type text, not integer", On),
    row("param=", "param=other:text:x", Compatible, "\"other\" is new\n    it is x", On),
    row("param=other:text:x", "param=other:text:y", Compatible, "is y by default, not x", On),
    row("param=", "param=other:text:required", Refused, "\"other\" (text) must be set", On),
];

/// Outputs that nobody reads.
const OF_OUTPUTS: &[Row] = &[
    row(V1, "side=side:csv", Compatible, "output \"side\" is new\n    nobody reads it", On),
    row("side=side:csv", V1, Compatible, "output \"side\" is gone\n    nobody reads it", On),
    row("side=side:csv", "side=side:lines", Compatible, "is lines instead of csv", On),
    row("side=side:csv", "side=aside:csv", Compatible, "output \"aside\" is new", On),
];

/// The settings of a version: what all have, then what a row says.
fn settings<'a>(common: &[(&'a str, &str)], row: &'a str, name: &str) -> Settings<'a> {
    let common = common.iter().map(|(key, value)| (*key, (*value).to_owned()));
    let pairs = row.split(';').filter_map(|pair| pair.split_once('='));
    let named = [("name", name.to_owned())].into_iter().chain(common);
    named.chain(pairs.map(|(key, value)| (key, value.replace("NAME", name)))).collect()
}

/// Puts a version before in place, then asks for the swap and does it, and compares with what is
/// predicted.
fn try_row(job: &mut Chameleon, common: &[(&str, &str)], index: usize, row: &Row) {
    let name = format!("state-{index}");
    job.change_to(&settings(common, row.before, &name), Anew);
    let after = job.version(&settings(common, row.after, &name));
    let told = row.told.replace("NAME", &name);
    let difference = format!("{common:?} {:?} -> {:?}", row.before, row.after);
    assert_comes_to(job, &after, row.predicted, &told, &difference);
    if row.predicted.allows() {
        job.took_over(&after, row.counts);
        job.wait_until_confirmed();
    }
}

/// Compares what is said of a swap, before and by itself, with what is predicted.
fn assert_comes_to(
    job: &Chameleon,
    after: &Version,
    predicted: Predicted,
    told: &str,
    difference: &str,
) {
    let status = if predicted.allows() { 0 } else { 1 };
    for (arguments, end) in [
        (&["--dry-run"][..], if status == 0 { "nothing has changed: a dry run" } else { NOTHING }),
        (&["--confirm-after", "0"][..], if status == 0 { "swapped at file://" } else { NOTHING }),
    ] {
        let answer = job.swap(&after.path, arguments).expect(status);
        let text = &answer.stdout;
        assert_eq!(text.lines().nth(1), Some(predicted.text()), "{difference}:\n{text}");
        assert!(text.contains(told), "{difference}: {told:?} is not in\n{text}");
        let last = text.lines().last().expect("it was looked at");
        assert!(last.starts_with(end), "{difference}:\n{text}");
        // What is identical has no differences, and whatever else has some.
        assert_eq!(predicted == Identical, text.lines().count() == 3, "{difference}:\n{text}");
    }
}

/// How an answer ends that changes nothing.
const NOTHING: &str = "nothing has changed";

/// Runs one job through all rows for one kind of state, with a way back now and then.
fn go_through(kind: &'static str, backend: &str, rows: &[&Row]) {
    let common = [("kind", kind)];
    let first = settings(&common, V1, "first");
    let mut job = Chameleon::start(&format!("matrix-{kind}"), backend, &first, "");
    for (index, row) in rows.iter().enumerate() {
        try_row(&mut job, &common, index, row);
    }
    job.change_to(&settings(&common, V1, "last"), Anew);
    job.change_and_undo(&settings(&common, "extra=more", "undone"), "compatible");
    let migrates = settings(&common, V2_BY_STEP, "last");
    job.change_and_undo(&migrates, Migrates.text());
    // What was gone does not come back, and what is there at the end can be restored.
    job.change_to(&settings(&common, V1, "other"), Anew);
    job.change_to(&settings(&common, V1, "last"), Anew);
    job.change_to(&migrates, On);
    job.wait_until_confirmed();
    // Nothing is left of the first version, so nobody needs to know the step from there.
    job.change_to(&settings(&common, V3_BY_STEP, "last"), On);
    job.wait_until_confirmed();
    job.end();
}

fn go_through_keyed(kind: &'static str) {
    let mut rows: Vec<&Row> = OF_ANY_STATE.iter().chain(OF_KEYED_STATE).collect();
    let (_, had) = KINDS.iter().find(|(name, _)| *name == kind).expect("it is a kind");
    let others: Vec<Row> = KINDS
        .iter()
        .filter(|(name, _)| *name != kind)
        .map(|(name, has)| {
            let told = format!("state \"NAME\" is a {has}, not a {had}");
            row(V1, format!("kind={name}").leak(), Refused, told.leak(), On)
        })
        .collect();
    rows.extend(&others);
    go_through(kind, "hashmap", &rows);
}

fn go_through_keyed_on_rocksdb(kind: &'static str) {
    let rows: Vec<&Row> = OF_ANY_STATE
        .iter()
        .chain(OF_KEYED_STATE)
        .filter(|row| row.predicted.allows() && row.predicted != Identical)
        .collect();
    go_through(kind, "rocksdb", &rows);
}

fn go_through_operator_state(kind: &'static str, other: &Row) {
    let rows: Vec<&Row> = OF_ANY_STATE.iter().chain([other]).collect();
    go_through(kind, "hashmap", &rows);
}

#[test]
fn each_change_of_a_value_comes_to_what_is_predicted() {
    go_through_keyed("value");
}

#[test]
fn each_change_of_a_list_comes_to_what_is_predicted() {
    go_through_keyed("list");
}

#[test]
fn each_change_of_a_map_comes_to_what_is_predicted() {
    go_through_keyed("map");
}

#[test]
fn each_change_of_a_reducing_state_comes_to_what_is_predicted() {
    go_through_keyed("reducing");
}

#[test]
fn each_change_of_an_aggregating_state_comes_to_what_is_predicted() {
    go_through_keyed("aggregating");
}

#[test]
fn each_change_of_a_list_comes_to_what_is_predicted_on_rocksdb() {
    go_through_keyed_on_rocksdb("list");
}

#[test]
fn each_change_of_a_map_comes_to_what_is_predicted_on_rocksdb() {
    go_through_keyed_on_rocksdb("map");
}

#[test]
fn each_change_of_an_even_split_list_comes_to_what_is_predicted() {
    const OTHER: Row = row(V1, "kind=union", Refused, "is a union list, not a even-split list", On);
    go_through_operator_state("even-split", &OTHER);
}

#[test]
fn each_change_of_a_union_list_comes_to_what_is_predicted() {
    const OTHER: Row =
        row(V1, "kind=even-split", Refused, "is a even-split list, not a union list", On);
    go_through_operator_state("union", &OTHER);
}

#[test]
fn each_change_of_outputs_and_parameters_comes_to_what_is_predicted() {
    let common = [("side", "side:lines"), ("param", "limit:integer:7")];
    let more = "[operator.params]\nlimit = 9\n\
                [[sink]]\nid = \"aside\"\nconnector = \"file\"\nfrom = \"count.side\"\n\
                path = \"aside/\"\n";
    let first = settings(&common, V1, "first");
    let mut job = Chameleon::start("matrix-function", "hashmap", &first, more);
    for (index, row) in OF_FUNCTION.iter().enumerate() {
        try_row(&mut job, &common, index, row);
    }
    // Functions of other kinds.
    for (guest, told) in [
        ("stamp", "it is a process function, not a keyed-process function"),
        ("count", "it has no timers, but timers of the running function may be pending"),
    ] {
        let other = Version { tag: guest.into(), path: component(guest) };
        assert_comes_to(&job, &other, Refused, told, guest);
    }
    // The job file sets a parameter, which a restore wants the function to have.
    job.change_to(&settings(&common, V1, "end"), Anew);
    job.end();
}

#[test]
fn each_change_of_outputs_that_nobody_reads_comes_to_what_is_predicted() {
    let mut job = Chameleon::start("matrix-outputs", "hashmap", &settings(&[], V1, "first"), "");
    for (index, row) in OF_OUTPUTS.iter().enumerate() {
        try_row(&mut job, &[], index, row);
    }
    job.end();
}

/// The checkpoint at the barrier of a swap has the state of the version before and the code of the
/// version after.
#[track_caller]
fn restores_from_the_checkpoint_of_a_swap(kind: &str, backend: &str) {
    let common = [("kind", kind)];
    let first = settings(&common, V1, "count");
    let name = format!("matrix-crash-{kind}");
    let mut job = Chameleon::start_with_interval("1h", &name, backend, &first, "");
    job.change_to(&settings(&common, V2_BY_STEP, "count"), On);
    job.crash();
    job.end();
}

#[test]
fn a_value_is_restored_from_the_checkpoint_of_a_swap() {
    restores_from_the_checkpoint_of_a_swap("value", "hashmap");
}

#[test]
fn a_map_is_restored_from_the_checkpoint_of_a_swap_on_rocksdb() {
    restores_from_the_checkpoint_of_a_swap("map", "rocksdb");
}

#[test]
fn an_even_split_list_is_restored_from_the_checkpoint_of_a_swap() {
    restores_from_the_checkpoint_of_a_swap("even-split", "hashmap");
}

#[test]
fn a_union_list_is_restored_from_the_checkpoint_of_a_swap() {
    restores_from_the_checkpoint_of_a_swap("union", "hashmap");
}
