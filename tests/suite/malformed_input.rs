//! Lines that cannot be records are told with their place, counted, and treated as the job file
//! says: nothing is lost silently, and no line is too long for the host's memory.

use std::path::Path;

use tidegate_tests::binary::write_large;
use tidegate_tests::job::Source;
use tidegate_tests::lines::{before_pv, first_field};
use tidegate_tests::{Folder, Job, Tidegate, oracle};

/// Good clicks with one bad line among them.
struct Input {
    name: &'static str,
    bad: &'static [u8],
    /// Who refuses the line: the source `in` or the operator `op`.
    node: &'static str,
    /// What the message says.
    what: &'static str,
}

const BAD_LINE: usize = 4;

const INPUTS: [Input; 6] = [
    Input { name: "too few fields", bad: b"carol,/x", node: "in", what: "2 fields" },
    Input { name: "no key", bad: b"carol", node: "in", what: "1 field" },
    Input { name: "no number", bad: b"carol,/x,noon", node: "in", what: "noon" },
    Input { name: "not UTF-8", bad: b"carol,/\xff\xfe,5", node: "in", what: "UTF-8" },
    Input { name: "too many fields", bad: b"carol,/x,5,6", node: "op", what: "3 fields" },
    Input { name: "open quote", bad: b"carol,\"/x,5", node: "in", what: "quote" },
];

fn bytes_with(bad: &[u8]) -> Vec<u8> {
    let lines: [&[u8]; 6] =
        [b"alice,/,1", b"bob,/,2", b"alice,/,3", bad, b"carol,/,6", b"alice,/,7"];
    lines.iter().flat_map(|line| [*line, b"\n"].concat()).collect()
}

fn job(input: &Input, policy: &str) -> Job {
    let folder = Folder::new("malformed");
    let path = folder.write("clicks.csv", bytes_with(input.bad));
    let policy = format!("malformed = {policy:?}\n");
    let source = format!("{policy}{}", Source::clicks(&path, 0));
    Job::new(folder, source).operator("op", "periodic-pv", "0", &policy)
}

#[track_caller]
fn assert_rest(job: &Job) {
    let good = ["alice,/,1", "bob,/,2", "alice,/,3", "carol,/,6", "alice,/,7"];
    let expected = oracle::periodic_pv(&oracle::events(good, 0), 10_000, 0);
    job.sink("op").assert_equals(&expected, before_pv);
}

#[test]
fn fail_says_where() {
    for input in INPUTS {
        let job = job(&input, "fail");
        let ended = job.run().expect(1);
        let place = format!("clicks.csv:{BAD_LINE}");
        for text in [input.node, &place, input.what] {
            let (name, story) = (input.name, &ended.stderr);
            assert!(story.contains(text), "{name}: {text:?} is not in\n{story}");
        }
    }
}

#[test]
fn fail_is_what_happens_unless_told() {
    let folder = Folder::new("malformed");
    let path = folder.write("clicks.csv", bytes_with(b"carol,/x,noon"));
    let job = Job::new(folder, Source::clicks(&path, 0)).operator("op", "periodic-pv", "0", "");
    job.run().expect(1).expect_story(["clicks.csv:4", "noon"]);
}

#[test]
fn skip_counts_and_shows() {
    for input in INPUTS {
        let job = job(&input, "skip");
        job.run().expect(0).expect_story([&format!("clicks.csv:{BAD_LINE}")]);
        assert_rest(&job);
        assert_eq!(job.report().counter(input.node, "malformed"), 1, "{}", input.name);
        assert_eq!(job.report().counter("in", "records_in"), 6, "{}", input.name);
    }
}

#[test]
fn dead_letters_keep_the_line() {
    for input in INPUTS {
        let job = job(&input, "dead-letter");
        job.run().expect(0);
        assert_rest(&job);
        let name = input.name;
        assert_eq!(job.report().counter(input.node, "malformed"), 1, "{name}");
        let file = format!("dead-letters/{}-0.jsonl", input.node);
        let letters = job.folder().read_json_lines(file);
        assert_eq!(letters.len(), 1, "{name}: {letters:?}");
        let letter = &letters[0];
        assert_eq!(letter["node"], input.node, "{name}");
        let text = |field: &str| letter[field].as_str().unwrap_or_default().to_owned();
        assert!(text("position").ends_with(&format!("clicks.csv:{BAD_LINE}")), "{name}: {letter}");
        assert!(text("reason").contains(input.what), "{name}: {letter}");
        match std::str::from_utf8(input.bad) {
            Ok(line) => assert_eq!(text("record"), line),
            Err(_) => {
                assert_eq!(text("encoding"), "hex");
                let hex = input.bad.iter().map(|byte| format!("{byte:02x}"));
                assert_eq!(text("record"), hex.collect::<String>());
            }
        }
    }
}

#[test]
fn dead_letters_go_where_the_job_says() {
    let folder = Folder::new("letters");
    let path = folder.write("clicks.csv", bytes_with(b"carol,/x,noon"));
    let source = format!("malformed = \"dead-letter\"\n{}", Source::clicks(&path, 0));
    let job = Job::new(folder, source).operator("op", "count", "0", "");
    let run = || Tidegate::run_job(&job.write()).set("job.dead_letters", "bad/letters");
    run().run().expect(0);
    assert_eq!(job.folder().read_json_lines("bad/letters/in-0.jsonl").len(), 1);
    assert!(!job.folder().join("dead-letters").exists());
}

#[test]
fn many_malformed_lines_are_all_counted() {
    let folder = Folder::new("many");
    let line = |n: usize| if n.is_multiple_of(3) { "bad\n".into() } else { format!("u,/,{n}\n") };
    let path = folder.write("clicks.csv", (1..=3_000).map(line).collect::<String>());
    let source = format!("malformed = \"skip\"\n{}", Source::clicks(&path, 0));
    let job = Job::new(folder, source).operator("op", "count", "0", "");
    let ended = job.run().expect(0);
    assert_eq!(job.report().counter("in", "malformed"), 1_000);
    assert_eq!(job.report().counter("op", "records_in"), 2_000);
    job.sink("op").assert_equals(&oracle::count(vec!["u"; 2_000]), first_field);
    let told = ended.stderr.matches("clicks.csv:").count();
    assert!((1..50).contains(&told), "{told} lines about 1,000 lines:\n{}", ended.stderr);
}

/// A sensor's temperature is refused by the function, wherever the reading is.
#[test]
fn a_function_refuses_what_it_cannot_read() {
    for crate_name in ["temp-alert", "temp-alert-flat-map"] {
        let folder = Folder::new("warm");
        let lines = ["s1,1,20.0", "s1,2,warm", "s1,3,40.5"];
        let path = folder.write("sensors.csv", lines.join("\n"));
        let job = Job::new(folder, Source::sensors(&path)).operator(
            "alert",
            crate_name,
            "0",
            "malformed = \"skip\"\n",
        );
        job.run().expect(0).expect_story(["sensors.csv:2", "warm"]);
        assert_eq!(job.report().counter("alert", "malformed"), 1);
        let expected = oracle::temp_alert([lines[0], lines[2]], 10.0);
        job.sink("alert").assert_equals(&expected, first_field);
    }
}

const MEBIBYTE: usize = 1 << 20;

fn write_with_long_line(path: &Path) {
    write_large(path, |file| {
        file.write_all(b"alice,/,1\nbob,/")?;
        let block = vec![b'x'; MEBIBYTE];
        (0..100).try_for_each(|_| file.write_all(&block))?;
        file.write_all(b",2\nalice,/,3\n")
    });
}

#[test]
fn a_line_of_100_mb_does_not_fill_the_memory() {
    let inputs = Folder::new("long");
    let path = inputs.join("clicks.csv");
    write_with_long_line(&path);
    for (policy, status) in [("fail", 1), ("skip", 0), ("dead-letter", 0)] {
        let source = format!("malformed = {policy:?}\n{}", Source::clicks(&path, 0));
        let job = Job::new(Folder::new("long"), source).operator("op", "count", "0", "");
        let ended = job.run().expect(status);
        if policy != "dead-letter" {
            ended.expect_story(["clicks.csv:2"]);
        }
        if policy == "fail" {
            continue;
        }
        let report = job.report();
        let peak = report.peak_memory_bytes();
        assert!(peak < 200 << 20, "{policy}: the host took {peak} bytes");
        assert_eq!(report.counter("in", "malformed"), 1);
        job.sink("op").assert_equals(&oracle::count(["alice", "alice"]), first_field);
        if policy == "dead-letter" {
            let letters = job.folder().read_json_lines("dead-letters/in-0.jsonl");
            assert_eq!(letters.len(), 1);
            // Only its beginning is kept; its length is told.
            let bytes = b"bob,/".len() + 100 * MEBIBYTE + b",2".len();
            assert_eq!(letters[0]["bytes"], bytes);
            let record = letters[0]["record"].as_str().expect("text");
            assert!(record.starts_with("bob,/xxx") && record.len() < 2 * MEBIBYTE);
        }
    }
}

/// Longer than a batch, but not longer than the job allows.
#[test]
fn a_long_line_that_is_allowed_passes() {
    let folder = Folder::new("allowed");
    let url = "x".repeat(3 * MEBIBYTE);
    let path = folder.write("clicks.csv", format!("a,/,1\na,/{url},2\na,/,3\n"));
    let source = format!("max_line = \"4MiB\"\n{}", Source::clicks(&path, 0));
    let job = Job::new(folder, source).operator("op", "count", "0", "");
    job.run().expect(0);
    job.sink("op").assert_equals(&oracle::count(["a", "a", "a"]), first_field);
}

/// Line ends of other systems, blank lines, and none after the last line.
#[test]
fn ends_of_lines_are_no_part_of_records() {
    for text in ["a,/,1\r\na,/,2\r\n", "a,/,1\n\n\na,/,2", "a,/,1\na,/,2\n\n"] {
        let folder = Folder::new("ends");
        let path = folder.write("clicks.csv", text);
        let job = Job::new(folder, Source::clicks(&path, 0)).operator("op", "avg-ts", "0", "");
        let job_ended = job.run().expect(0);
        assert_eq!(job.report().counter("op", "records_in"), 2, "{text:?} {}", job_ended.stderr);
        assert_eq!(job.report().counter("in", "malformed"), 0, "{text:?}");
    }
}
