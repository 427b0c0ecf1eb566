//! The command line's manners: what goes to which stream, exit statuses, reports, `inspect`,
//! `build`.

use std::path::Path;
use std::process::Command;

use tidegate_tests::binary::component;
use tidegate_tests::job::Source;
use tidegate_tests::{Folder, Job, Tidegate};

#[test]
fn usage_is_status_2() {
    for arguments in [&["run"][..], &["frobnicate"], &["run", "job.toml", "--no-such"], &[]] {
        let ended = Tidegate::new(arguments).run().expect(2);
        assert!(ended.stdout.is_empty(), "{arguments:?} answers {}", ended.stdout);
        assert!(ended.stderr.contains("Usage") || ended.stderr.contains("--help"));
    }
}

#[test]
fn help_and_version_are_answers() {
    let help = Tidegate::new(["--help"]).run().expect(0);
    for command in ["new", "build", "inspect", "check", "run"] {
        assert!(help.stdout.contains(command), "{}", help.stdout);
        let help = Tidegate::new([command, "--help"]).run().expect(0);
        assert!(help.stdout.contains("Example"), "{}", help.stdout);
    }
    let version = Tidegate::new(["--version"]).run().expect(0);
    assert!(version.stdout.starts_with("tidegate "), "{}", version.stdout);
}

#[test]
fn a_file_that_is_not_there_is_status_1() {
    let folder = Folder::new("nothing");
    for arguments in [["run", "x.toml"], ["check", "x.toml"], ["inspect", "x.wasm"], ["build", "x"]]
    {
        let ended = Tidegate::new(arguments).in_folder(folder.path()).run().expect(1);
        ended.expect_story([arguments[1]]);
    }
}

#[test]
fn standard_output_is_for_the_answer() {
    let folder = Folder::new("streams");
    let path = folder.write("clicks.csv", "a,/,1\na,/,2\n");
    let job = Job::new(folder, Source::clicks(&path, 0)).operator("op", "count", "0", "");
    let ended = job.run().expect(0);
    assert!(ended.stdout.is_empty(), "the output went to files: {}", ended.stdout);
    ended.expect_story(["2 in", "out-op"]);
    let ended =
        Tidegate::run_job(&job.write()).set("sink.out-op.connector", "stdout").run().expect(0);
    assert_eq!(ended.stdout, "a,1\na,2\n");
    // Without a terminal there are neither colours nor progress.
    assert!(!ended.stderr.contains('\u{1b}') && !ended.stderr.contains('\r'), "{}", ended.stderr);
}

#[test]
fn a_report_counts_every_node() {
    let folder = Folder::new("report");
    let path = folder.write("clicks.csv", "a,/,1\nb,/,2\nbad\na,/,3\n");
    let source = format!("malformed = \"skip\"\n{}", Source::clicks(&path, 0));
    let job = Job::new(folder, source).operator("pv", "periodic-pv", "0", "").parallelism(2);
    job.run().expect(0);
    let report = job.report();
    assert_eq!(report.0["job"], "test");
    assert_eq!(report.0["status"], "finished");
    assert!(report.0["elapsed_ms"].is_u64());
    assert!(report.peak_memory_bytes() > 1 << 20);
    let counters = |node| {
        ["records_in", "records_out", "malformed", "faults"].map(|name| report.counter(node, name))
    };
    assert_eq!(counters("in"), [4, 3, 1, 0]);
    assert_eq!(counters("pv"), [3, 2, 0, 0]);
    assert_eq!(counters("out-pv"), [2, 0, 0, 0]);
    assert_eq!(report.0["nodes"][1]["kind"], "operator");
}

/// A report is written for a run that failed, too: it says what was done before.
#[test]
fn a_report_of_a_run_that_failed() {
    let folder = Folder::new("failed");
    let path = folder.write("clicks.csv", "a,/,1\nbad\n");
    let job = Job::new(folder, Source::clicks(&path, 0)).operator("op", "count", "0", "");
    job.run().expect(1);
    let report = job.report();
    assert_ne!(report.0["status"], "finished");
    assert_eq!(report.counter("in", "malformed"), 1);
}

#[test]
fn inspect_shows_the_declaration() {
    let inspect = |crate_name: &str| {
        Tidegate::new([Path::new("inspect"), &component(crate_name)]).run().expect(0).stdout
    };
    let tour = inspect("state-tour");
    for text in ["keyed-process", "price: Value of f64", "Map of (String, u64)", "List", "Reducing"]
    {
        assert!(tour.contains(text), "{text:?} is not in\n{tour}");
    }
    let session = inspect("ttl-session");
    let life = "first-page: Value of String, schema version 1, lives 10s in processing time";
    assert!(session.contains(life), "{session}");
    let split = inspect("split");
    for text in ["process function", "marked: lines", "word: text, default poison"] {
        assert!(split.contains(text), "{text:?} is not in\n{split}");
    }
}

#[test]
fn inspect_as_json() {
    let path = component("periodic-pv");
    let ended = Tidegate::new([Path::new("inspect"), &path]).arg("--json").run().expect(0);
    let answer: serde_json::Value = serde_json::from_str(&ended.stdout).expect("it is JSON");
    let declaration = &answer["declaration"];
    assert_eq!(declaration["kind"], "keyed-process");
    assert_eq!(declaration["timers"], true);
    assert_eq!(declaration["states"][0]["name"], "count");
    assert_eq!(declaration["states"][1]["name"], "timer-ts");
    assert_eq!(declaration["parameters"][0]["default"], "10s");
    let sum = Command::new("sha256sum").arg(&path).output().expect("coreutils are there").stdout;
    let sum = String::from_utf8(sum).expect("it is text");
    assert_eq!(answer["digest"].as_str(), sum.split_whitespace().next());
    assert!(answer["imports"].as_array().is_some_and(|imports| {
        imports.iter().all(|import| import.as_str().unwrap_or("").starts_with("tidegate:function/"))
    }));
}

/// A core module, as other tools make it, becomes a component; a component stays one.
#[test]
fn build_takes_components_as_they_are() {
    let folder = Folder::new("build");
    let build = Tidegate::new([Path::new("build"), &component("count"), Path::new("--out")])
        .arg(folder.join("components"))
        .run()
        .expect(0);
    let path = Path::new(build.stdout.trim());
    assert_eq!(path.file_name().and_then(|name| name.to_str()), Some("count.wasm"));
    Tidegate::new([Path::new("inspect"), path]).run().expect(0);
}
