//! Whatever a function does wrong, the job ends with a message that names the operator, the key and
//! the place in the input, or goes on without the record if the job file says so. The host neither
//! hangs nor panics.

use std::path::Path;

use tidegate_tests::binary::{component, write_large};
use tidegate_tests::job::Source;
use tidegate_tests::lines::first_field;
use tidegate_tests::{Ended, Folder, Job, Tidegate, oracle};

/// The line of the poison record in small inputs.
const POISON_LINE: usize = 37;

/// Clicks of five users, of which line 37 is poison.
fn poisoned_clicks() -> Vec<String> {
    let line = |number: usize| {
        let url = if number == POISON_LINE { "/poison" } else { "/home" };
        format!("user_{},{url},{}", number % 5, number * 100)
    };
    (1..=100).map(line).collect()
}

/// The user of the poison record.
fn poisoned_key() -> String {
    format!("user_{}", POISON_LINE % 5)
}

/// A job over these lines with a guest of this test.
fn job(crate_name: &str, lines: &[String], more: &str) -> Job {
    let folder = Folder::new(crate_name);
    let path = folder.write("clicks.csv", lines.join("\n") + "\n");
    let limits = "[operator.limits]\ncall_time = \"200ms\"\nmemory = \"32MiB\"\n";
    Job::new(folder, Source::clicks(&path, 0)).operator(
        "pv",
        crate_name,
        "0",
        &format!("{more}\n{limits}"),
    )
}

/// Runs the job, which must fail at the poison record and leave no output.
#[track_caller]
fn assert_fault(job: &Job, what: &str) -> Ended {
    let ended = job.run().expect(3).expect_story([
        "operator \"pv\"",
        &format!("\"{}\"", poisoned_key()),
        &format!("clicks.csv:{POISON_LINE}"),
        what,
    ]);
    let output = std::fs::read_dir(job.folder().join("out-pv"));
    let files = output.map_or(0, |files| files.count());
    assert_eq!(files, 0, "a job that failed leaves no output");
    ended
}

/// Runs the job with the dead-letter policy: all that is missing is the poison record.
#[track_caller]
fn assert_isolated(crate_name: &str, what: &str) {
    for parallelism in [1, 3] {
        let lines = poisoned_clicks();
        let job = job(crate_name, &lines, "on_fault = \"dead-letter\"\n").parallelism(parallelism);
        job.run().expect(0);
        let users = lines.iter().filter(|line| !line.contains("poison")).map(|l| first_field(l));
        job.sink("pv").assert_equals(&oracle::count(users), first_field);
        let report = job.report();
        assert_eq!(report.counter("pv", "faults"), 1);
        let letters = dead_letters(job.folder(), "pv", parallelism);
        assert_eq!(letters.len(), 1, "{letters:?}");
        assert_eq!(letters[0]["node"], "pv");
        assert_eq!(letters[0]["key"], poisoned_key());
        assert_eq!(letters[0]["record"], lines[POISON_LINE - 1]);
        let position = letters[0]["position"].as_str().expect("a position");
        assert!(position.ends_with(&format!("clicks.csv:{POISON_LINE}")), "{position}");
        let reason = letters[0]["reason"].as_str().expect("a reason");
        assert!(reason.contains(what), "{reason}");
    }
}

/// The letters of all partitions of a node.
fn dead_letters(folder: &Folder, node: &str, parallelism: u32) -> Vec<serde_json::Value> {
    let files = (0..parallelism).map(|partition| format!("dead-letters/{node}-{partition}.jsonl"));
    files.flat_map(|file| folder.read_json_lines(file)).collect()
}

#[test]
fn a_trap() {
    let ended = assert_fault(&job("trap", &poisoned_clicks(), ""), "swallowed");
    // The guest's own frames.
    assert!(ended.stderr.contains("backtrace"), "{}", ended.stderr);
}

#[test]
fn an_error() {
    assert_fault(&job("fail", &poisoned_clicks(), ""), "cannot digest \"user_2,/poison,3700\"");
}

#[test]
fn an_endless_loop() {
    assert_fault(&job("spin", &poisoned_clicks(), ""), "call_time");
}

#[test]
fn endless_allocation() {
    assert_fault(&job("hog", &poisoned_clicks(), ""), "memory");
}

#[test]
fn a_trap_is_isolated() {
    assert_isolated("trap", "swallowed");
}

#[test]
fn an_error_is_isolated() {
    assert_isolated("fail", "cannot digest");
}

#[test]
fn an_endless_loop_is_isolated() {
    assert_isolated("spin", "call_time");
}

#[test]
fn endless_allocation_is_isolated() {
    assert_isolated("hog", "memory");
}

/// Each way to break the contract, and a word of what the message says of it.
const BROKEN: [(&str, &str); 17] = [
    ("ends-decrease", "ends"),
    ("ends-short", "ends"),
    ("ends-long", "ends"),
    ("entries-ends", "last"),
    ("key-index", "key"),
    ("unknown-state", "unknown state 7"),
    ("unknown-output", "unknown output 3"),
    ("state-twice", "two columns"),
    ("output-twice", "two columns"),
    ("origins-decrease", "origin"),
    ("origin-range", "origin"),
    ("origins-missing", "origins"),
    ("operation", "operation 9"),
    ("operations-missing", "operations"),
    ("map-entry", "shorter than its key"),
    ("timer", "timers"),
    ("text", "utf-8"),
];

#[test]
fn malformed_effects() {
    for (mode, what) in BROKEN {
        let params = format!("[operator.params]\nmode = {mode:?}\n");
        let job = job("malformed", &poisoned_clicks(), &params);
        let ended = job.run().expect(3);
        let place = format!("clicks.csv:{POISON_LINE}");
        for text in ["operator \"pv\"", &poisoned_key(), &place, "malformed"] {
            assert!(ended.stderr.contains(text), "{mode}: {text:?} is not in\n{}", ended.stderr);
        }
        let story = ended.stderr.to_lowercase();
        assert!(story.contains(what), "{mode}: {what:?} is not in\n{}", ended.stderr);
    }
}

#[test]
fn malformed_effects_are_isolated() {
    for (mode, _) in BROKEN {
        let lines = poisoned_clicks();
        let more = format!("on_fault = \"dead-letter\"\n[operator.params]\nmode = {mode:?}\n");
        let job = job("malformed", &lines, &more).parallelism(2);
        job.run().expect(0);
        let expected: Vec<oracle::Line> = lines
            .iter()
            .filter(|line| !line.contains("poison"))
            .map(|line| oracle::Line { key: first_field(line), text: line.clone() })
            .collect();
        job.sink("pv").assert_equals(&expected, first_field);
        assert_eq!(dead_letters(job.folder(), "pv", 2).len(), 1, "{mode}");
    }
}

/// A guest may lie about which record it gave up at.
#[test]
fn a_fault_at_no_record() {
    let params = "[operator.params]\nmode = \"fault-at\"\n";
    let job = job("malformed", &poisoned_clicks(), params);
    assert_fault(&job, "a fault at a record that there is not");
}

#[test]
fn a_trap_on_record_1000_of_a_million() {
    let folder = Folder::new("million");
    let path = folder.join("events.csv");
    write_large(&path, |file| {
        (1..=1_000_000_u64).try_for_each(|number| {
            let url = if number == 1_000 { "/poison" } else { "/home" };
            writeln!(file, "user_{},{url},{number}", number % 1_009)
        })
    });
    for (parallelism, policy, status) in [(2, "fail", 3), (1, "dead-letter", 0)] {
        let job = Job::new(Folder::new("million"), Source::clicks(&path, 0))
            .operator("pv", "trap", "0", &format!("on_fault = {policy:?}\n"))
            .parallelism(parallelism);
        let ended = job.run().expect(status);
        if policy == "fail" {
            ended.expect_story(["operator \"pv\"", "\"user_1000\"", "events.csv:1000"]);
            continue;
        }
        assert_eq!(job.sink("pv").lines().count(), 999_999);
        let letters = dead_letters(job.folder(), "pv", 1);
        assert_eq!(letters.len(), 1);
        assert_eq!(letters[0]["record"], "user_1000,/poison,1000");
    }
}

/// Many poison records in one batch, next to each other and apart.
#[test]
fn every_poison_record_is_isolated() {
    let is_poison = |number: usize| number.is_multiple_of(97) || (400..410).contains(&number);
    let line = |number: usize| {
        let url = if is_poison(number) { "/poison" } else { "/home" };
        format!("user_{},{url},{number}", number % 7)
    };
    let lines: Vec<String> = (1..=2_000).map(line).collect();
    for crate_name in ["trap", "fail"] {
        let job = job(crate_name, &lines, "on_fault = \"dead-letter\"\n").parallelism(2);
        job.run().expect(0);
        let kept = lines.iter().filter(|line| !line.contains("poison")).map(|l| first_field(l));
        job.sink("pv").assert_equals(&oracle::count(kept), first_field);
        let mut letters: Vec<String> = dead_letters(job.folder(), "pv", 2)
            .iter()
            .map(|letter| letter["record"].as_str().expect("text").to_owned())
            .collect();
        let mut poison: Vec<String> =
            lines.iter().filter(|line| line.contains("poison")).cloned().collect();
        letters.sort();
        poison.sort();
        assert_eq!(letters, poison);
    }
}

/// A timer has no place in the input: the message names its key and its time.
#[test]
fn a_fault_in_a_timer() {
    let lines = ["a,/,0", "poison,/,5", "b,/,7", "a,/,12", "poison,/,100", "b,/,100"];
    let lines = lines.map(str::to_owned);
    job("timer-fail", &lines, "").run().expect(3).expect_story([
        "operator \"pv\"",
        "\"poison\"",
        "timer 15",
        "cannot digest the timer 15",
    ]);
    let job = job("timer-fail", &lines, "on_fault = \"dead-letter\"\n").parallelism(2);
    job.run().expect(0);
    // The timer of `a` for 10 is due once the record at 12 was counted.
    assert_eq!(job.sink("pv").sorted(), ["a,2,10", "a,2,22", "b,1,17", "b,2,110"]);
    assert_eq!(job.report().counter("pv", "faults"), 2);
    let letters = dead_letters(job.folder(), "pv", 2);
    let reasons: Vec<&str> = letters.iter().filter_map(|l| l["reason"].as_str()).collect();
    assert_eq!(reasons, ["cannot digest the timer 15", "cannot digest the timer 110"]);
    assert!(letters.iter().all(|letter| letter["key"] == "poison"));
}

/// Time ends, but the function's timers do not: a fault, not a job that never ends.
#[test]
fn timers_that_never_end() {
    let lines = ["a,/,0", "b,/,7"].map(str::to_owned);
    let ended = job("heartbeat", &lines, "").run().expect(3);
    ended.expect_story(["operator \"pv\"", "key \"a\"", "go on without end"]);
}

/// One record's output is already more than the job allows a call.
#[test]
fn the_output_of_a_call_is_limited() {
    let folder = Folder::new("output");
    let path = folder.write("clicks.csv", poisoned_clicks().join("\n") + "\n");
    let job = Job::new(folder, Source::clicks(&path, 0)).operator(
        "pv",
        "count",
        "0",
        "[operator.limits]\noutput_bytes = 5\n",
    );
    job.run().expect(3).expect_story(["operator \"pv\"", "output_bytes", "clicks.csv:1"]);
}

/// Many windows of one key wait at once, and the list of prices grows.
#[test]
fn timers_and_state_of_a_key_are_limited() {
    let folder = Folder::new("timers");
    let line = |window: usize| format!("a,/,{}\nb,/,1\n", window * 10_000);
    let path = folder.write("clicks.csv", (1..=20).map(line).collect::<String>());
    let job = Job::new(folder, Source::clicks(&path, 1_000_000)).operator(
        "window",
        "fake-window",
        "0",
        "[operator.limits]\ntimers = 5\n",
    );
    job.run().expect(3).expect_story(["operator \"window\"", "\"a\"", "timers", "clicks.csv:11"]);

    let folder = Folder::new("state");
    let line = |product: usize| format!("{product},ann,product {product},1.0\n");
    let path = folder.write("sales.csv", (1..=20).map(line).collect::<String>());
    let job = Job::new(folder, Source::file(&path)).operator(
        "tour",
        "state-tour",
        "1",
        "[operator.limits]\nstate_bytes = 100\n",
    );
    job.run().expect(3).expect_story(["operator \"tour\"", "\"ann\"", "products", "sales.csv:"]);
}

/// A job with the component of a guest, for `check`.
fn check_of(crate_name: &str, partition: &str) -> Ended {
    let folder = Folder::new(crate_name);
    folder.write("clicks.csv", "a,/,1\n");
    let component = component(crate_name);
    let job = format!(
        "[job]\nname = \"test\"\n\
         [[source]]\nid = \"in\"\nconnector = \"file\"\npath = \"clicks.csv\"\nformat = \"csv\"\n\
         [[operator]]\nid = \"op\"\ncomponent = {component:?}\n\
         inputs = [{{ from = \"in\"{partition} }}]\n\
         [[sink]]\nid = \"out\"\nconnector = \"discard\"\nfrom = \"op\"\n"
    );
    let job = folder.write("job.toml", job);
    let run = Tidegate::run_job(&job).run().expect(1);
    let check = Tidegate::check_job(&job).run().expect(1);
    assert!(check.stdout.is_empty(), "a refused job has no plan: {}", check.stdout);
    assert_eq!(first_line(&run), first_line(&check), "`run` refuses as `check` does");
    check
}

fn first_line(ended: &Ended) -> &str {
    ended.stderr.lines().next().unwrap_or_default()
}

#[test]
fn the_wall_clock_is_refused_by_name() {
    check_of("clock", "").expect_story(["wasi:clocks/wall-clock@0.2.0", "clock.wasm"]);
    let clock = component("clock");
    let inspect = Tidegate::new([Path::new("inspect"), &clock]).run().expect(1);
    inspect.expect_story(["wasi:clocks/wall-clock@0.2.0"]);
}

#[test]
fn another_contract_is_refused_with_both_versions() {
    let partition = ", partition = { key = 0 }";
    check_of("old-contract", partition).expect_story(["0.0.9", "0.1.0", "old_contract.wasm"]);
}
