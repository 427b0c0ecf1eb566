//! SIGKILL at any moment loses nothing and doubles nothing: a job that takes checkpoints goes on with
//! `run --restore latest`, and the committed output is that of a run that was never killed.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_tests::binary::component;
use tidegate_tests::random::Random;
use tidegate_tests::{Folder, Tidegate};

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

/// Visible output in the order of its commits.
fn committed(folder: &Folder) -> String {
    let mut files: Vec<(u64, u64, std::path::PathBuf)> = Vec::new();
    for entry in folder.join("out").read_dir().expect("there is output") {
        let path = entry.expect("readable").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut numbers = name.split('-').skip(1).filter_map(|part| part.parse().ok());
        if name.starts_with("part-") {
            let partition = numbers.next().expect("part-PARTITION-CHECKPOINT");
            files.push((numbers.next().expect("part-PARTITION-CHECKPOINT"), partition, path));
        }
    }
    files.sort();
    files.iter().map(|(.., path)| std::fs::read_to_string(path).expect("readable")).collect()
}

/// Each key's counts go up by one from 1, and there is one for each record.
fn assert_counts_are_whole(output: &str) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for line in output.lines() {
        let (key, count) = line.rsplit_once(',').expect("key,count");
        let before = counts.entry(key).or_default();
        *before += 1;
        assert_eq!(count, before.to_string(), "the next count of {key}");
    }
    assert_eq!(counts.values().sum::<u64>(), RECORDS);
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
        let mut running = start(turn, RATE).start();
        running.kill_after(Duration::from_millis(random.between(1, 300) as u64));
    }
    start(0, 1_000_000_000).run().expect(0);
    assert_counts_are_whole(&committed(&folder));
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
