//! Every example's job writes what its `expected.txt` says: the same lines, each once, for each key
//! in the same order.

use std::path::PathBuf;

use tidegate_tests::binary::repository;
use tidegate_tests::lines::{before_pv, first_field};
use tidegate_tests::oracle::Line;
use tidegate_tests::{Folder, Sink, Tidegate, data};

fn example(name: &str) -> PathBuf {
    repository().join("examples").join(name)
}

/// Runs the job as it is, and at other parallelisms, and compares.
#[track_caller]
fn assert_example(name: &str, key_of: fn(&str) -> String) {
    let expected: Vec<Line> = data::lines(&example(name).join("expected.txt"))
        .into_iter()
        .map(|text| Line { key: key_of(&text), text })
        .collect();
    assert!(!expected.is_empty(), "an example shows some output");
    for parallelism in [None, Some(1), Some(3)] {
        let folder = Folder::new(name);
        let mut call = Tidegate::run_job(&example(name).join("job.toml"));
        call = call.set("sink.out.path", folder.join("out").display());
        if let Some(parallelism) = parallelism {
            call = call.arg("--parallelism").arg(parallelism.to_string());
        }
        call.run().expect(0);
        Sink::read(&folder.join("out")).assert_equals(&expected, key_of);
    }
}

#[test]
fn periodic_pv() {
    assert_example("periodic-pv", before_pv);
}

#[test]
fn fake_window() {
    assert_example("fake-window", first_field);
}

#[test]
fn avg_ts() {
    assert_example("avg-ts", first_field);
}

#[test]
fn temp_alert() {
    assert_example("temp-alert", first_field);
}

#[test]
fn temp_alert_flat_map() {
    assert_example("temp-alert-flat-map", first_field);
}

#[test]
fn state_tour() {
    assert_example("state-tour", first_field);
}

#[test]
fn ttl_session() {
    assert_example("ttl-session", first_field);
}

#[test]
fn match_payments() {
    assert_example("match-payments", first_field);
}

#[test]
fn window_count() {
    assert_example("window-count", first_field);
}

/// What this file tests is what there is.
#[test]
fn no_example_is_left_out() {
    let entries = std::fs::read_dir(repository().join("examples")).expect("there are examples");
    let mut names: Vec<String> = entries
        .map(|entry| entry.expect("the folder can be read"))
        .filter(|entry| entry.path().join("job.toml").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    let tested = [
        "avg-ts",
        "broadcast-config",
        "broadcast-rules",
        "buffering-sink",
        "fake-window",
        // suite/kafka
        "kafka-offsets",
        "match-payments",
        "number-source",
        "periodic-pv",
        "socket-alert",
        "state-tour",
        "temp-alert",
        "temp-alert-flat-map",
        "temp-alert-with-state",
        "ttl-session",
        "user-actions",
        "window-count",
    ];
    assert_eq!(names, tested);
}

#[test]
fn temp_alert_with_state() {
    assert_example("temp-alert-with-state", first_field);
}

/// One partition, so that the order of all lines counts.
fn all_lines(_line: &str) -> String {
    String::new()
}

#[test]
fn buffering_sink() {
    assert_example("buffering-sink", all_lines);
}

#[test]
fn number_source() {
    assert_example("number-source", all_lines);
}

#[test]
fn user_actions() {
    assert_example("user-actions", all_lines);
}

#[test]
fn broadcast_rules() {
    assert_example("broadcast-rules", first_field);
}

/// Actions are dealt out over the partitions, so that they have no order.
fn whole_line(line: &str) -> String {
    line.to_owned()
}

#[test]
fn broadcast_config() {
    assert_example("broadcast-config", whole_line);
}
