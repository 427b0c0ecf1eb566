//! What functions of the newer kinds do wrong, or a job file with them: faults and problems that
//! say what it is, and records at which a function faults that take nothing with them of operator
//! state.

use tidegate_tests::binary::component;
use tidegate_tests::job::Report;
use tidegate_tests::{Ended, Folder, Sink, Tidegate};

/// The line of the poison record in small inputs.
const POISON_LINE: usize = 37;

/// Lines `key,word,number`, of which one is poison.
fn poisoned(keys: &str) -> Vec<String> {
    let line = |number: usize| {
        let word = if number == POISON_LINE { "poison" } else { "plain" };
        format!("{keys}{},{word},{number}", number % 5)
    };
    (1..=100).map(line).collect()
}

/// A folder with records `data.csv`, rules `rules.csv`, and this job over them.
fn folder_with(data: &[String], rules: &[String], job: &str) -> Folder {
    let folder = Folder::new("functions");
    let source = |id: &str| {
        format!(
            "[[source]]\nid = {id:?}\nconnector = \"file\"\npath = \"{id}.csv\"\nformat = \"csv\"\n"
        )
    };
    folder.write("data.csv", data.join("\n") + "\n");
    folder.write("rules.csv", rules.join("\n") + "\n");
    let head = "[job]\nname = \"test\"\n";
    folder.write("job.toml", format!("{head}{}{}{job}", source("data"), source("rules")));
    folder
}

fn call(command: &str, folder: &Folder) -> Tidegate {
    Tidegate::new([command, "job.toml"]).in_folder(folder.path())
}

fn run(folder: &Folder, parallelism: u32) -> Tidegate {
    call("run", folder).arg("--report").arg("report.json").set("job.parallelism", parallelism)
}

fn sink(id: &str, from: &str) -> String {
    format!("[[sink]]\nid = {id:?}\nconnector = \"file\"\nfrom = {from:?}\npath = \"{id}/\"\n")
}

/// The guest `meddler`, which keeps rules that are broadcast.
fn meddler(mode: &str, more: &str) -> String {
    format!(
        "[[operator]]\nid = \"op\"\ncomponent = {:?}\n\
         inputs = [{{ from = \"data\", partition = {{ key = 0 }} }}, {{ from = \"rules\" }}]\n\
         params = {{ mode = {mode:?} }}\n{more}{}",
        component("meddler"),
        sink("out", "op")
    )
}

/// Each way to change what a call must not change: the mode, whether a broadcast record does it,
/// and what the message says of it.
const MEDDLING: [(&str, bool, &str); 6] = [
    (
        "rule",
        false,
        "operator state \"rules\" is broadcast state, which only records of the broadcast input \
         may change",
    ),
    ("timer", true, "timers change, but records of a broadcast input have no key"),
    ("keyed", true, "state \"last\" names key 0, but the call had 0"),
    ("entry", true, "operator state \"rules\" gets a put whose entry is shorter than its key"),
    ("twice", true, "operator state \"rules\" has two columns of changes"),
    ("unknown", true, "unknown operator state 7; 1 are declared"),
];

/// Data and rules, of which one side has the poison.
fn sides(is_broadcast: bool) -> (Vec<String>, Vec<String>) {
    let plain: Vec<String> = (1..=20).map(|number| format!("r{number},plain,{number}")).collect();
    if is_broadcast { (plain, poisoned("r")) } else { (poisoned("k"), plain) }
}

#[test]
fn meddling_with_broadcast_state_is_a_fault() {
    for (mode, is_broadcast, what) in MEDDLING {
        let (data, rules) = sides(is_broadcast);
        let folder = folder_with(&data, &rules, &meddler(mode, ""));
        let file = if is_broadcast { "rules.csv" } else { "data.csv" };
        let place = format!("{file}:{POISON_LINE}");
        let story = ["operator \"op\"", &place, "malformed effects", what];
        run(&folder, 2).run().expect(3).expect_story(story);
    }
}

/// The record that meddles is set aside in each partition that gets it; all others count.
#[test]
fn meddling_is_isolated() {
    for (mode, is_broadcast, _) in MEDDLING {
        let (data, rules) = sides(is_broadcast);
        let job = meddler(mode, "on_fault = \"dead-letter\"\n");
        let folder = folder_with(&data, &rules, &job);
        run(&folder, 2).run().expect(0);
        let mut expected: Vec<&str> = data.iter().map(String::as_str).collect();
        // Each partition passes each rule on.
        expected.extend(rules.iter().chain(&rules).map(String::as_str));
        expected.retain(|line| !line.contains("poison"));
        expected.sort_unstable();
        assert_eq!(Sink::read(&folder.join("out")).sorted(), expected, "{mode}");
        let faults = Report::read(&folder.join("report.json")).counter("op", "faults");
        assert_eq!(faults, if is_broadcast { 2 } else { 1 }, "{mode}");
    }
}

#[test]
fn a_source_that_sends_more_than_was_asked() {
    let job = format!(
        "[[source]]\nid = \"flood\"\nconnector = \"function\"\ncomponent = {:?}\n{}{}{}",
        component("flood"),
        sink("out", "flood"),
        sink("out-data", "data"),
        sink("out-rules", "rules")
    );
    let folder = folder_with(&[], &[], &job);
    run(&folder, 1).run().expect(3).expect_story([
        "\"flood\"",
        "when it was polled",
        "1025 records, but 1024 were asked",
    ]);
}

/// `tally` over lines, with these parameters.
fn tally(params: &str) -> String {
    format!(
        "[[operator]]\nid = \"op\"\ncomponent = {:?}\non_fault = \"dead-letter\"\n\
         inputs = [{{ from = \"data\", partition = \"rebalance\" }}]\n\
         params = {{ {params} }}\n{}{}",
        component("tally"),
        sink("out", "op"),
        sink("out-rules", "rules")
    )
}

/// Poison, alone and several next to each other, at the very first call too: fields that hooks move
/// and lists that are written as records come are as if it had never been there.
#[test]
fn a_fault_takes_nothing_with_it_of_operator_state() {
    let is_poison = |number: usize| {
        number < 3 || number.is_multiple_of(97) || (400..410).contains(&number) || number == 2_000
    };
    let line = |number: usize| {
        let word = if is_poison(number) { "poison" } else { "plain" };
        format!("k,{word},{number}")
    };
    let data: Vec<String> = (1..=2_000).map(line).collect();
    for (params, parallelism) in
        [("panics = false", 1), ("panics = true", 1), ("panics = false", 3), ("panics = true", 3)]
    {
        let folder = folder_with(&data, &[], &tally(params));
        run(&folder, parallelism).run().expect(0);
        let mut found = Vec::new();
        let sink = Sink::read(&folder.join("out"));
        for (partition, lines) in sink.by_part().iter().enumerate() {
            for (number, line) in (1..).zip(lines) {
                let record = line.strip_prefix(&format!("{partition},{number},"));
                let record = record.unwrap_or_else(|| panic!("{line:?} is not number {number}"));
                found.push(record.to_owned());
            }
        }
        let (mut poison, mut plain): (Vec<String>, Vec<String>) =
            data.iter().cloned().partition(|line| line.contains("poison"));
        if parallelism > 1 {
            found.sort();
            plain.sort();
        }
        assert_eq!(found, plain, "{params}");
        let files = (0..parallelism).map(|partition| format!("dead-letters/op-{partition}.jsonl"));
        let letters = files.flat_map(|file| folder.read_json_lines(file));
        let text = |letter: serde_json::Value| letter["record"].as_str().map(str::to_owned);
        let mut letters: Vec<String> = letters.map(|one| text(one).expect("text")).collect();
        letters.sort();
        poison.sort();
        assert_eq!(letters, poison, "{params}");
    }
}

/// The job is refused by `check`, and by `run` with the same words, which have these texts.
#[track_caller]
fn assert_refused(job: &str, texts: &[&str]) -> Ended {
    let one = |name: &str| vec![format!("{name},plain,1")];
    let folder = folder_with(&one("k"), &one("r"), job);
    let check = call("check", &folder).run().expect(1).expect_story(texts);
    assert!(check.stdout.is_empty(), "a refused job has no plan");
    assert_eq!(call("run", &folder).run().expect(1).stderr, check.stderr);
    check
}

fn operator(id: &str, crate_name: &str, inputs: &str) -> String {
    let component = component(crate_name);
    format!("[[operator]]\nid = {id:?}\ncomponent = {component:?}\ninputs = [{inputs}]\n")
}

fn function_source(crate_name: &str, more: &str) -> String {
    let component = component(crate_name);
    format!(
        "[[source]]\nid = \"made\"\nconnector = \"function\"\ncomponent = {component:?}\n{more}{}",
        sink("out-made", "made")
    )
}

/// The sinks of the two sources, for jobs that read neither.
fn unread() -> String {
    sink("out-data", "data") + &sink("out-rules", "rules")
}

#[test]
fn a_source_function_is_no_operator() {
    let job = operator("op", "number-source", "{ from = \"data\" }") + &sink("out", "op");
    let what = "`operator.op.component` is a source function, which is no operator";
    let hint = "hint: name it in a [[source]] with `connector = \"function\"`";
    let refused = assert_refused(&(job + &unread()), &[what, hint, "job.toml:15:1"]);
    assert_eq!(refused.stderr.matches("error:").count(), 1, "{}", refused.stderr);
}

#[test]
fn other_functions_are_no_sources() {
    for (crate_name, kind) in [("tally", "process"), ("buffering-sink", "sink")] {
        let job = function_source(crate_name, "") + &unread();
        let what = format!("`source.made.component` is a {kind} function, no source function");
        assert_refused(&job, &[&what, "hint: name it in an [[operator]]", "job.toml:16:1"]);
    }
}

#[test]
fn a_source_function_is_held_against_the_job_file() {
    let written = function_source("number-source", "format = \"json\"\n") + &unread();
    let texts = ["`source.made.format` is \"json\", but the function writes csv", "job.toml:17:1"];
    assert_refused(&written, &texts);
    let params = function_source("number-source", "params = { cuont = 3 }\n") + &unread();
    assert_refused(&params, &["is no parameter of the function of `made`", "`count`"]);
    let params = function_source("number-source", "params = { count = \"many\" }\n") + &unread();
    assert_refused(&params, &["\"many\"", "a whole number"]);
}

#[test]
fn nobody_but_sinks_reads_a_sink_function() {
    let job = operator("buffer", "buffering-sink", "{ from = \"data\" }")
        + &operator("op", "tally", "{ from = \"buffer\" }")
        + &sink("out", "op")
        + &unread();
    let what = "reads from `buffer`, which is a sink function";
    assert_refused(&job, &[what, "only a [[sink]] reads from it", "job.toml:20:13"]);
}

#[test]
fn a_broadcast_input_has_no_other_partitioning() {
    let data = "{ from = \"data\", partition = { key = 0 } }";
    for partition in ["{ key = 0 }", "\"rebalance\"", "\"forward\"", "\"function\""] {
        let inputs = format!("{data}, {{ from = \"rules\", partition = {partition} }}");
        let job = operator("op", "edicts", &inputs) + &sink("out", "op");
        let what = "is of the broadcast input of `op`, a keyed-broadcast-process function, which \
                    every partition gets whole";
        assert_refused(&job, &[what, "hint: write \"broadcast\", or leave it out", "job.toml:16:"]);
    }
    let job = operator("op", "edicts", "{ from = \"data\" }, { from = \"rules\" }");
    assert_refused(&(job + &sink("out", "op")), &["has no key", "keyed-broadcast-process"]);
    let job = operator("op", "edicts", data) + &sink("out", "op") + &sink("rest", "rules");
    let what = "has 1 element, but `op` is a keyed-broadcast-process function with 2";
    assert_refused(&job, &[what, "it reads: "]);
}

#[test]
fn broadcast_state_needs_a_broadcast_input() {
    let job = operator("op", "misplaced", "{ from = \"data\" }") + &sink("out", "op");
    let what = "declares broadcast state \"rules\", but a process function has no broadcast input";
    assert_refused(&(job + &sink("rest", "rules")), &["misplaced.wasm", what]);
}
