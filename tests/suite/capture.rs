//! A call at which a function faults is captured, with all that its effects depend on, and can be
//! made again with any version of the function: with the same fault, or the same effects, byte for
//! byte.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidegate_tests::binary::component;
use tidegate_tests::job::Source;
use tidegate_tests::{Ended, Folder, Job, Tidegate};

/// Clicks of five users, some of them poison.
fn clicks(count: usize, is_poison: impl Fn(usize) -> bool) -> Vec<String> {
    let line = |number: usize| {
        let url = if is_poison(number) { "/poison" } else { "/home" };
        format!("user_{},{url},{}", number % 5, number * 100)
    };
    (1..=count).map(line).collect()
}

/// A job over these lines.
fn job(crate_name: &str, lines: &[String], more: &str) -> Job {
    let folder = Folder::new(crate_name);
    let path = folder.write("clicks.csv", lines.join("\n") + "\n");
    Job::new(folder, Source::clicks(&path, 0)).operator("pv", crate_name, "0", more)
}

/// Runs a job and captures what faults.
fn run(job: &Job) -> Ended {
    Tidegate::run_job(&job.write()).arg("--capture").arg(job.folder().join("faults")).run()
}

/// What was captured, by name.
fn captured(job: &Job) -> Vec<PathBuf> {
    let files = std::fs::read_dir(job.folder().join("faults")).expect("the folder is made");
    let mut paths: Vec<PathBuf> = files.map(|file| file.expect("it is there").path()).collect();
    paths.sort();
    paths
}

/// The one call that was captured.
#[track_caller]
fn only(job: &Job) -> (PathBuf, Value) {
    let paths = captured(job);
    assert_eq!(paths.len(), 1, "{paths:?}");
    let fixture = read(&paths[0]);
    (paths[0].clone(), fixture)
}

fn read(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).expect("it was written");
    serde_json::from_str(&text).expect("it is JSON")
}

fn replay(fixture: &Path, component: &Path) -> Tidegate {
    Tidegate::new([Path::new("replay"), fixture, Path::new("--component"), component])
}

/// Replays twice, which must give the same bytes, and reads the answer.
#[track_caller]
fn answer(fixture: &Path, component: &Path, status: i32) -> Value {
    let once = || replay(fixture, component).arg("--json").run().expect(status).stdout;
    let first = once();
    assert_eq!(first, once());
    serde_json::from_str(&first).expect("it is JSON")
}

/// Replays with the component that was captured: the very same fault.
#[track_caller]
fn assert_same_fault(fixture: &Path, crate_name: &str) {
    let captured = read(fixture)["fault"].clone();
    let answer = answer(fixture, &component(crate_name), 3);
    assert_eq!(answer["as_captured"], true, "{answer}");
    // What it wanted more depends on what the instance had been called with before.
    if captured["reason"] != "memory" {
        assert_eq!(answer["fault"], captured);
    }
}

#[test]
fn every_kind_of_fault_is_captured_and_replayed() {
    let limits = "[operator.limits]\ncall_time = \"200ms\"\nmemory = \"32MiB\"\n";
    let kinds = [("trap", "trap"), ("fail", "failed"), ("spin", "call-time"), ("hog", "memory")];
    for (crate_name, reason) in kinds {
        let job = job(crate_name, &clicks(100, |number| number == 37), limits);
        let story = run(&job).expect(3).stderr;
        let (path, fixture) = only(&job);
        assert!(path.ends_with("pv-0-0.json") && story.contains("pv-0-0.json"), "{story}");
        assert_eq!(fixture["fault"]["reason"], reason);
        assert_eq!(
            fixture["position"].as_str().expect("text").rsplit('/').next(),
            Some("clicks.csv:37")
        );
        let record = &fixture["input"]["records"]["records"][0];
        assert_eq!(
            (&record["value"], &record["timestamp"]),
            (&json!("user_2,/poison,3700"), &json!(3700))
        );
        // Seven records of the key were counted before.
        let states = &fixture["keys"][0]["states"];
        assert_eq!(states["count"], "\u{7}", "{fixture}");
        assert_same_fault(&path, crate_name);
        let told = replay(&path, &component(crate_name)).run().expect(3);
        assert!(told.stdout.contains("The fault that was captured"), "{}", told.stdout);
    }
}

#[test]
fn a_trap_is_replayed_with_its_backtrace() {
    let job = job("trap", &clicks(20, |number| number == 9), "");
    run(&job).expect(3);
    let (path, fixture) = only(&job);
    let frames = fixture["fault"]["backtrace"].as_array().expect("a list");
    assert!(!frames.is_empty());
    let told = replay(&path, &component("trap")).run().expect(3).stdout;
    for frame in frames {
        assert!(told.contains(frame.as_str().expect("text")), "{frame} is not in\n{told}");
    }
}

/// Versions that do the same give the same bytes, whatever else is in their files.
#[test]
fn other_versions_have_effects() {
    let job = job("trap", &clicks(100, |number| number == 37), "").parallelism(2);
    run(&job).expect(3);
    let (path, _) = only(&job);
    let count = component("count");
    let effects = answer(&path, &count, 0);
    let expected = json!({
        "as_captured": false,
        "effects": {
            "outputs": { "main": [{ "cause": 0, "record": "user_2,8" }] },
            "states": [{
                "state": "count",
                "key": "user_2",
                "changes": [{ "put": "\u{8}" }],
            }],
            "operator_states": [],
            "timers": [],
        },
    });
    assert_eq!(effects, expected);
    let text = |component: &Path| replay(&path, component).arg("--json").run().expect(0).stdout;
    // A custom section is a comment.
    let other = [&std::fs::read(&count).expect("it is built")[..], b"\0\x04\x03new"].concat();
    let other = job.folder().write("other.wasm", other);
    assert_eq!(text(&other), text(&count));
    let told = replay(&path, &other).run().expect(0);
    assert!(told.stdout.contains("main: \"user_2,8\" (of 0)"), "{}", told.stdout);
    assert!(told.stderr.contains("another one than was captured"), "{}", told.stderr);
}

/// Ten of each partition, also where runs follow one another, and none is replaced.
#[test]
fn the_first_ten_of_each_partition_are_captured() {
    let job = job("fail", &clicks(400, |number| number % 4 == 0), "on_fault = \"dead-letter\"\n")
        .parallelism(2);
    run(&job).expect(0);
    let paths = captured(&job);
    let of = |partition: u32| {
        let name = format!("pv-{partition}-");
        let name_of =
            |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).map(String::from);
        paths.iter().filter(|path| name_of(path).is_some_and(|one| one.starts_with(&name))).count()
    };
    assert_eq!((of(0), of(1)), (10, 10));
    let first = std::fs::read(&paths[0]).expect("it was written");
    std::fs::remove_dir_all(job.folder().join("out-pv")).expect("the job wrote it");
    let again = run(&job).expect(0);
    assert_eq!(captured(&job), paths);
    assert_eq!(std::fs::read(&paths[0]).expect("it is there"), first);
    assert!(again.stderr.contains("holds 10 captured calls"), "{}", again.stderr);
    paths.iter().for_each(|path| assert_same_fault(path, "fail"));
}

#[test]
fn a_timer_is_captured() {
    let lines = ["a,/,0", "poison,/,5", "b,/,7", "poison,/,100"].map(str::to_owned);
    let job = job("timer-fail", &lines, "");
    run(&job).expect(3);
    let (path, mut fixture) = only(&job);
    assert_eq!(fixture["position"], "event-time timer 15");
    let timers = &fixture["input"]["timers"];
    assert_eq!((&timers["domain"], &timers["timestamps"]), (&json!("event"), &json!([15])));
    assert_same_fault(&path, "timer-fail");
    // A key that the function has nothing against.
    fixture["keys"][0]["key"] = json!("well");
    let path = job.folder().write("well.json", fixture.to_string());
    let answer = answer(&path, &component("timer-fail"), 0);
    // Both of its records came before the time was known.
    let main = json!([{ "cause": 0, "record": "well,2,15" }]);
    assert_eq!(answer["effects"]["outputs"]["main"], main);
}

/// Lists and maps that a function reads in part are captured whole, on either backend.
#[test]
fn long_state_is_captured_whole() {
    for backend in ["hashmap", "rocksdb"] {
        let folder = Folder::new("large");
        let path = folder.write("numbers.csv", "a,add,0,20000,\nb,add,5,7,\na,explode,,,\n");
        let job = Job::new(folder, Source::file(&path)).operator("pv", "large", "0", "");
        let ended = Tidegate::run_job(&job.write())
            .arg("--capture")
            .arg(job.folder().join("faults"))
            .set("state.backend", backend)
            .run();
        ended.expect(3).expect_story(["unknown operation"]);
        let (path, mut fixture) = only(&job);
        assert_eq!(fixture["keys"].as_array().map(Vec::len), Some(1), "only the call's key");
        assert_same_fault(&path, "large");
        fixture["input"]["records"]["records"][0]["value"] = json!("a,sum,,,");
        let path = job.folder().write("sum.json", fixture.to_string());
        let answer = answer(&path, &component("large"), 0);
        let sum: u64 = (0..20_000).sum();
        let line = format!("a has 20000: {sum} {sum} {}", 2 * sum);
        assert_eq!(answer["effects"]["outputs"]["main"][0]["record"], line);
    }
}

/// Operator state is captured whole, although the function had it from the call before.
#[test]
fn operator_state_is_captured() {
    let folder = Folder::new("operator-state");
    folder.write("rules.csv", "r,1\nr,poison\n");
    folder.write("data.csv", "a,1\n");
    let meddler = component("meddler");
    let job = format!(
        "[job]\nname = \"test\"\n\
         [[source]]\nid = \"rules\"\nconnector = \"file\"\npath = \"rules.csv\"\nformat = \"csv\"\n\
         [[source]]\nid = \"data\"\nconnector = \"file\"\npath = \"data.csv\"\nformat = \"csv\"\n\
         [[operator]]\nid = \"op\"\ncomponent = {meddler:?}\nparams = {{ mode = \"keyed\" }}\n\
         inputs = [{{ from = \"data\", partition = {{ key = 0 }} }}, {{ from = \"rules\" }}]\n\
         [[sink]]\nid = \"out\"\nconnector = \"discard\"\nfrom = \"op\"\n"
    );
    let job = folder.write("job.toml", job);
    let faults = folder.join("faults");
    Tidegate::run_job(&job).arg("--capture").arg(&faults).run().expect(3);
    let path = faults.join("op-0-0.json");
    let mut fixture = read(&path);
    assert_eq!(fixture["fault"]["reason"], "bad-effects");
    assert_eq!(fixture["params"], json!([["mode", "keyed"]]));
    // What the first rule put: 1 under a.
    assert_eq!(fixture["operator_state"], json!({ "rules": "\u{1}\0\0\0a\u{1}\0\0\u{0}1" }));
    assert_eq!(fixture["keys"], json!([]));
    assert_same_fault(&path, "meddler");
    // A function that declares no such state gets none, and this one has no such parameter.
    fixture["input"]["records"]["input"] = json!(0);
    fixture["input"]["records"]["records"][0]["key"] = json!(0);
    fixture["keys"] = json!([{
        "key": "a",
        "states": { "last": "x" },
        "event_timers": [],
        "processing_timers": [],
    }]);
    let path = folder.write("data.json", fixture.to_string());
    let told = replay(&path, &component("count")).run().expect(0).stderr;
    for text in ["no state \"last\"", "no state \"rules\"", "no parameter \"mode\""] {
        assert!(told.contains(text), "{text:?} is not in\n{told}");
    }
}

/// State comes to another version of the function as in a swap: migrated, or not at all.
#[test]
fn state_is_migrated_for_another_version() {
    let folder = Folder::new("versions");
    let path = folder.write("lines.csv", "a,1\na,2\na,3\na,4\na,5\na,6\na,poison\n");
    let job = Job::new(folder, Source::file(&path)).operator("pv", "trap", "0", "");
    run(&job).expect(3);
    let (_, mut fixture) = only(&job);
    // A record that the versions can read.
    fixture["input"]["records"]["records"][0]["value"] = json!("a,x,7");
    let path = job.folder().write("seventh.json", fixture.to_string());
    let effects = |crate_name: &str| answer(&path, &component(crate_name), 0)["effects"].clone();
    let first = effects("swap-v1");
    assert_eq!(first["outputs"]["main"][0]["record"], "a,7,7,v1");
    assert_eq!(first["states"][0]["changes"], json!([{ "put": "\u{7}" }]));
    let wide = effects("swap-wide");
    assert_eq!(wide["outputs"]["main"][0]["record"], "a,7,7,wide");
    let put = wide["states"][0]["changes"][0]["put"].as_str().expect("it is text");
    assert!(put.ends_with("counted by version 1"), "{put:?}");
    replay(&path, &component("swap-kind")).run().expect(1).expect_story(["a value state in"]);
    // The other way there are no migrations.
    fixture["states"][0]["schema_version"] = json!(3);
    let newer = job.folder().write("newer.json", fixture.to_string());
    let refused = replay(&newer, &component("swap-wide")).run().expect(1);
    refused.expect_story(["has schema version 3", "the component has 2"]);
    fixture["states"][0]["schema_version"] = json!(1);
    // The key that this one cannot migrate.
    fixture["keys"][0]["key"] = json!("user_7");
    let poison = job.folder().write("poison.json", fixture.to_string());
    let failed = replay(&poison, &component("swap-bad-migration")).run().expect(3);
    failed.expect_story(["the count 6 cannot be migrated"]);
}

/// Each limit of a function, in the call by itself and against what the key has already.
#[test]
fn limits_are_replayed() {
    let folder = Folder::new("timers");
    let line = |window: usize| format!("a,/,{}\nb,/,1\n", window * 10_000);
    let path = folder.write("clicks.csv", (1..=20).map(line).collect::<String>());
    let timers = Job::new(folder, Source::clicks(&path, 1_000_000)).operator(
        "pv",
        "fake-window",
        "0",
        "[operator.limits]\ntimers = 5\n",
    );
    run(&timers).expect(3);
    let (path, fixture) = only(&timers);
    assert_eq!(fixture["keys"][0]["event_timers"].as_array().map(Vec::len), Some(5));
    assert_same_fault(&path, "fake-window");

    let folder = Folder::new("state");
    let line = |product: usize| format!("{product},ann,product {product},1.0\n");
    let path = folder.write("sales.csv", (1..=20).map(line).collect::<String>());
    let state = Job::new(folder, Source::file(&path)).operator(
        "pv",
        "state-tour",
        "1",
        "[operator.limits]\nstate_bytes = 100\n",
    );
    run(&state).expect(3);
    let (path, fixture) = only(&state);
    assert_eq!(fixture["limits"]["state_bytes"], 100);
    assert_same_fault(&path, "state-tour");

    let output = job("count", &clicks(3, |_| false), "[operator.limits]\noutput_bytes = 5\n");
    run(&output).expect(3);
    let (path, _) = only(&output);
    assert_same_fault(&path, "count");
}

/// What cannot be replayed says why.
#[test]
fn what_does_not_fit_is_refused() {
    let job = job("trap", &clicks(20, |number| number == 9), "");
    run(&job).expect(3);
    let (path, mut fixture) = only(&job);
    replay(&path, &component("split")).run().expect(1).expect_story(["process function"]);
    fixture["version"] = json!(2);
    let newer = job.folder().write("newer.json", fixture.to_string());
    replay(&newer, &component("trap")).run().expect(1).expect_story(["version 2"]);
    let clicks = job.folder().join("clicks.csv");
    replay(&clicks, &component("trap")).run().expect(1).expect_story(["no captured call"]);
    replay(&path, &clicks).run().expect(1).expect_story(["not a wasm file"]);
    let refused = Tidegate::run_job(&job.write()).arg("--capture").arg(&clicks).run().expect(1);
    assert!(refused.stderr.contains("captured calls"), "{}", refused.stderr);
}
