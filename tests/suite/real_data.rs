//! Over real data, at any parallelism, the examples put out what a plain fold does: the same lines,
//! each once, for each key in the same order.

use std::path::Path;

use tidegate_tests::data;
use tidegate_tests::job::Source;
use tidegate_tests::lines::{before_pv, first_field};
use tidegate_tests::oracle::{self, Line};
use tidegate_tests::{Folder, Job};

/// An operator, its key as TOML, and what it must put out.
struct Case {
    crate_name: &'static str,
    key: &'static str,
    key_of: fn(&str) -> String,
    expected: Vec<Line>,
}

#[track_caller]
fn assert_at_any_parallelism(source: &str, lines: &[String], cases: &[Case]) {
    for parallelism in [1, 2, 4] {
        for Case { crate_name, key, key_of, expected } in cases {
            assert!(!expected.is_empty(), "{crate_name} puts something out");
            let job = Job::new(Folder::new(crate_name), source)
                .operator("op", crate_name, key, "")
                .parallelism(parallelism);
            job.run().expect(0);
            job.sink("op").assert_equals(expected, *key_of);
            let report = job.report();
            assert_eq!(report.counter("in", "records_in"), lines.len() as u64);
            assert_eq!(report.counter("op", "records_in"), lines.len() as u64);
            assert_eq!(report.counter("out-op", "records_in"), expected.len() as u64);
        }
    }
}

#[test]
fn temperatures_alert() {
    let path = data::sensors();
    let lines = data::lines(&path);
    let case = |crate_name| Case {
        crate_name,
        key: "0",
        key_of: first_field,
        expected: oracle::temp_alert(&lines, 10.0),
    };
    let cases = [case("temp-alert"), case("temp-alert-flat-map")];
    assert_at_any_parallelism(&Source::sensors(&path), &lines, &cases);
}

/// Departures are in the order of time; `delay` makes the watermark late all the same.
fn assert_departures(path: &Path, delay: i64, case: impl Fn(&[String]) -> Case) {
    let lines = data::lines(path);
    let case = case(&lines);
    assert_at_any_parallelism(&Source::clicks(path, delay), &lines, &[case]);
}

#[test]
fn departures_by_aircraft() {
    assert_departures(&data::departures(), 0, |lines| Case {
        crate_name: "periodic-pv",
        key: "0",
        key_of: before_pv,
        expected: oracle::periodic_pv(&oracle::events(lines, 0), 10_000, 0),
    });
}

#[test]
fn departures_by_route_in_windows() {
    assert_departures(&data::departures(), 1_000, |lines| Case {
        crate_name: "fake-window",
        key: "1",
        key_of: first_field,
        expected: oracle::fake_window(&oracle::events(lines, 1), 10_000, 1_000),
    });
}

#[test]
fn mean_departures_by_aircraft() {
    assert_departures(&data::departures(), 0, |lines| Case {
        crate_name: "avg-ts",
        key: "0",
        key_of: first_field,
        expected: oracle::avg_ts(&oracle::events(lines, 0), 5),
    });
}

/// Long periods and windows, so that many keys wait for timers at once.
#[test]
fn departures_over_days() {
    let path = data::departures();
    let lines = data::lines(&path);
    let (day, delay) = (86_400_000, 3_600_000);
    let job = Job::new(Folder::new("days"), Source::clicks(&path, delay))
        .operator("pv", "periodic-pv", "0", "[operator.params]\nperiod = \"7d\"\n")
        .operator("window", "fake-window", "1", "[operator.params]\nsize = \"1d\"\n")
        .parallelism(2);
    job.run().expect(0);
    let by_aircraft = oracle::events(&lines, 0);
    let by_route = oracle::events(&lines, 1);
    let expected = oracle::periodic_pv(&by_aircraft, 7 * day, delay);
    job.sink("pv").assert_equals(&expected, before_pv);
    job.sink("window").assert_equals(&oracle::fake_window(&by_route, day, delay), first_field);
}
