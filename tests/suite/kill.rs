//! SIGKILL at any moment loses nothing and doubles nothing: a job that takes checkpoints goes on
//! with `run --restore latest`, and the committed output is that of a run that was never killed.

use std::time::Duration;

use tidegate_tests::binary::component;
use tidegate_tests::random::Random;
use tidegate_tests::{Folder, Tidegate, counts};

const KILLS: u32 = 100;
const RECORDS: u64 = 400_000;

/// Records a second while the job is being killed: slow enough that it does not end before.
const RATE: u64 = 20_000;

fn job(folder: &Folder, backend: &str) -> std::path::PathBuf {
    let count = component("count");
    folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"killed\"\nmax_parallelism = 16\n[state]\nbackend = \"{backend}\"\n\
             [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"50ms\"\n\
             [restart]\nstrategy = \"none\"\n\
             [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
             count = {RECORDS}\nkeys = 1000\n\
             [[operator]]\nid = \"count\"\ncomponent = {count:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
             [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"count\"\npath = \"out/\"\n"
        ),
    )
}

/// The files of the output.
fn output(folder: &Folder) -> Vec<(String, String)> {
    let entries = folder.join("out").read_dir().expect("there is output");
    let file = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.expect("readable");
        let name = entry.file_name().to_string_lossy().into_owned();
        (name, std::fs::read_to_string(entry.path()).expect("readable"))
    };
    entries.map(file).collect()
}

fn survives(backend: &str, parallelisms: &[u32], seed: u64) {
    let folder = Folder::new("killed");
    let job = job(&folder, backend);
    let mut random = Random::new(seed);
    let start = |turn: u32, rate: u64| {
        let parallelism = parallelisms[turn as usize % parallelisms.len()];
        Tidegate::run_job(&job)
            .arg("--restore")
            .arg("latest")
            .set("source.in.rate", rate)
            .set("job.parallelism", parallelism)
    };
    for turn in 0..KILLS {
        let running = start(turn, RATE).start();
        running.kill_after(Duration::from_millis(random.between(1, 300) as u64));
    }
    start(0, 1_000_000_000).run().expect(0);
    let committed = counts::in_order_of_commits(output(&folder));
    assert_eq!(counts::check(&committed, RECORDS), Ok(()));
}

#[test]
fn hashmap_survives_a_hundred_kills() {
    survives("hashmap", &[2], 1);
}

#[test]
fn rocksdb_survives_a_hundred_kills() {
    survives("rocksdb", &[2], 2);
}

#[test]
fn hashmap_survives_a_hundred_kills_while_it_is_rescaled() {
    survives("hashmap", &[2, 3, 1], 3);
}

#[test]
fn rocksdb_survives_a_hundred_kills_while_it_is_rescaled() {
    survives("rocksdb", &[2, 3, 1], 4);
}
