//! A list of a million elements and a map of a million entries under one key, read and appended to
//! by a function that has less memory than either needs, across a crash and on the other backend.

use std::fmt::Write;

use tidegate_tests::binary::component;
use tidegate_tests::counting::{files_below, wait};
use tidegate_tests::{Folder, Tidegate};

const COUNT: u64 = 1_000_000;

/// Numbers that one record adds.
const STEP: u64 = 5_000;

const NAME: &str = "large";

/// Records so long that a call gets few of them, whose changes are what it holds in memory.
fn input() -> String {
    let long = "x".repeat(300_000);
    let mut lines = String::new();
    for from in (0..COUNT).step_by(STEP as usize) {
        writeln!(lines, "k,add,{from},{},{long}", from + STEP).expect("a string takes all");
    }
    lines.push_str(
        "k,sum,,,\nk,slice,999998,1000005,\nk,slice,500000,500003,\nk,get,999999,1000001,\n",
    );
    // Reads see what the same call has changed.
    lines.push_str("k,add,1000000,1000002,\nk,remove,0,1000,\nk,sum,,,\nk,slice,0,2,\n");
    lines
}

/// The sum of the numbers below `count`.
fn sum_below(count: u64) -> u64 {
    count * (count - 1) / 2
}

fn expected() -> String {
    let sum = sum_below(COUNT);
    let left = sum_below(COUNT + 2) - sum_below(1000);
    format!(
        "k has 1000000: {sum} {sum} {}\nk slice [999998, 999999]\n\
         k slice [500000, 500001, 500002]\n\
         k values [Some(1999998), None]\nk has 1000002: {} {left} {}\nk slice [0, 1]\n",
        2 * sum,
        sum_below(COUNT + 2),
        2 * left,
    )
}

fn outlives_a_crash(first: &str, second: &str) {
    let folder = Folder::new("large");
    folder.write("in.csv", input());
    let function = component("large");
    folder.write(
        "job.toml",
        format!(
            "[job]\nname = {NAME:?}\n[checkpoint]\nstorage = \"file://checkpoints\"\n\
             interval = \"100ms\"\n[state]\nbackend = \"hashmap\"\n\
             [[source]]\nid = \"in\"\nconnector = \"file\"\npath = \"in.csv\"\n\
             format = \"csv\"\n[[operator]]\nid = \"large\"\ncomponent = {function:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n[operator.limits]\n\
             memory = \"12MiB\"\nstate_bytes = \"64MiB\"\ncall_time = \"30s\"\n\
             [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"large\"\npath = \"out/\"\n"
        ),
    );
    let run = |backend: &str, restore: &str| {
        let job = folder.join("job.toml");
        let run = Tidegate::run_job(&job).arg("--restore").arg(restore).in_folder(folder.path());
        run.set("state.backend", backend)
            .env("XDG_RUNTIME_DIR", folder.path())
            .arg("--report")
            .arg("report.json")
    };
    let running = run(first, "none").start();
    let ask = |arguments: &[&str]| {
        let ask = Tidegate::new(arguments).in_folder(folder.path());
        ask.env("XDG_RUNTIME_DIR", folder.path())
    };
    // The second may be the last: its barrier waits behind half of the input.
    wait(NAME, ask, |status| status["checkpoints"]["completed"].as_u64() >= Some(1));
    running.kill_after(std::time::Duration::ZERO);
    run(second, "latest").run().expect(0);
    let report: serde_json::Value =
        serde_json::from_str(&folder.read("report.json")).expect("a report is JSON");
    assert!(report["checkpoints"]["restored_from"].is_u64(), "it goes on: {report}");
    let files = files_below(&folder.join("out")).into_values();
    let output: Vec<String> =
        files.map(|bytes| String::from_utf8(bytes).expect("output is text")).collect();
    assert_eq!(output.concat(), expected());
}

#[test]
fn on_hashmap_and_then_on_rocksdb() {
    outlives_a_crash("hashmap", "rocksdb");
}

#[test]
fn on_rocksdb_and_then_on_hashmap() {
    outlives_a_crash("rocksdb", "hashmap");
}
