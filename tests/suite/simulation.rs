//! Whatever the disk does and whenever the process or the machine crashes: the committed output is
//! that of a run in which nothing happened.
//!
//! `TIDEGATE_SIMULATION_SEEDS=100000` runs more seeds; `TIDEGATE_TEST_SEED=n` runs one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tidegate::checkpoint::storage::Disk;
use tidegate::job::{JobFile, Plan, check};
use tidegate::wasm::Engine;
use tidegate_tests::binary::component;
use tidegate_tests::counts;
use tidegate_tests::random::Random;
use tidegate_tests::simulation::disk::SimDisk;
use tidegate_tests::simulation::reordered::Reordered;
use tidegate_tests::simulation::{CHECKPOINTS, OUTPUT, Settings, Simulation};

/// Seeds that every run of the tests goes through.
const SEEDS: u64 = 2000;

/// Records of a job, one a millisecond.
const LENGTHS: [u64; 3] = [50, 200, 500];

/// Two counts in a row, so that barriers meet in the second one.
const COUNTS: &str = r#"
    [[operator]]
    id = "first"
    component = "COUNT"
    inputs = [{ from = "clicks", partition = { key = 0 } }]
    [[operator]]
    id = "last"
    component = "COUNT"
    inputs = [{ from = "first", partition = { key = 0 } }]
    "#;

/// Timers in event time.
const VIEWS: &str = r#"
    [[operator]]
    id = "last"
    component = "PV"
    inputs = [{ from = "clicks", partition = { key = 0 } }]
    params = { period = "20ms" }
    "#;

/// State that expires in event time.
const AGING: &str = r#"
    [[operator]]
    id = "last"
    component = "AGING"
    inputs = [{ from = "clicks", partition = { key = 0 } }]
    "#;

fn plan(engine: &Engine, job: &Job, records: u64, parallelism: u32, backend: &str) -> Plan {
    let path = |crate_name: &str| component(crate_name).display().to_string();
    let operators = job.operators.replace("COUNT", &path("count"));
    let operators = operators.replace("PV", &path("periodic-pv"));
    let operators = operators.replace("AGING", &path("aging"));
    let Job { mode, more_source, more_sink, .. } = job;
    let text = format!(
        r#"
        [job]
        name = "simulated"
        parallelism = {parallelism}
        max_parallelism = 8
        [state]
        backend = "{backend}"
        [checkpoint]
        storage = "file://{CHECKPOINTS}"
        interval = "20ms"
        timeout = "400ms"
        tolerable_failures = 1
        mode = "{mode}"
        [[source]]
        id = "clicks"
        connector = "generator"
        shape = "clicks"
        count = {records}
        rate = 1000
        keys = 7
        timestamp = {{ field = 2 }}
        {more_source}
        {operators}
        [[sink]]
        id = "out"
        connector = "file"
        from = "last"
        path = "{OUTPUT}"
        {more_sink}
        "#
    );
    let file = JobFile::parse(Path::new("/simulated.toml"), &text, &[]);
    check(file.expect("it parses"), engine).expect("it is a job")
}

/// What is simulated: a job on some backends, at any parallelism.
#[derive(Clone, Copy)]
struct Job {
    operators: &'static str,
    mode: &'static str,
    /// A restart may find another one than the run before.
    backends: &'static [&'static str],
    /// More keys of the source, and of the sink.
    more_source: &'static str,
    more_sink: &'static str,
}

const HASHMAP: Job = Job {
    operators: COUNTS,
    mode: "exactly-once",
    backends: &["hashmap"],
    more_source: "",
    more_sink: "",
};

/// The plans of a job by number of records, and the lines of a run without failures.
struct Plans(BTreeMap<u64, (Vec<Plan>, Vec<String>)>);

impl Plans {
    fn new(job: &Job) -> Self {
        let engine = Engine::new().expect("an engine");
        let of = |records| {
            let plan = |partitions, backend| plan(&engine, job, records, partitions, backend);
            let at = |partitions| job.backends.iter().map(move |backend| (partitions, *backend));
            let plans: Vec<Plan> = (1..=3)
                .flat_map(at)
                .map(|(partitions, backend)| plan(partitions, backend))
                .collect();
            let calm = Settings { seed: 0, crashes: 0, fault_one_in: 0, savepoints: false };
            let outcome = Simulation::with_disk(calm, |disk| Arc::new(disk)).run(&plans[..1]);
            let lines = lines(&outcome.expect("nothing fails").files);
            (plans, lines)
        };
        Self(LENGTHS.into_iter().map(|records| (records, of(records))).collect())
    }
}

/// The lines of all files, in order.
fn lines(files: &[String]) -> Vec<String> {
    let mut lines: Vec<String> =
        files.iter().flat_map(|text| text.lines()).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// What the engine sees of the simulated disk.
type Wrap = fn(SimDisk) -> Arc<dyn Disk>;

/// Restarts, and how many of them went on from a checkpoint; or what is wrong.
fn simulate(seed: u64, plans: &Plans, wrap: Wrap, oracle: Oracle) -> Result<(u64, u64), String> {
    let mut random = Random::new(seed);
    let records = *random.choose(&LENGTHS);
    let settings = Settings {
        seed,
        crashes: random.between(0, 4) as u64,
        fault_one_in: *random.choose(&[0, 0, 30, 200]),
        savepoints: random.once_in(3),
    };
    let mut simulation = Simulation::with_disk(settings, wrap);
    let (plans, calm) = &plans.0[&records];
    let outcome = simulation.run(plans);
    let told = |what: String| format!("{what}\n{}", simulation.story());
    let outcome = outcome.map_err(|error| told(error.full_text()))?;
    oracle(&outcome.files, calm).map_err(told)?;
    Ok((outcome.restarts, outcome.restored))
}

/// Compares the output, by file, with the lines of a run without failures.
type Oracle = fn(&[String], &[String]) -> Result<(), String>;

/// The counts of each key are in order, and none is missing.
fn counted_once(files: &[String], calm: &[String]) -> Result<(), String> {
    counts::check(files, calm.len() as u64)
}

/// The same lines, in any order.
fn same_lines(files: &[String], calm: &[String]) -> Result<(), String> {
    let found = lines(files);
    if found == calm { Ok(()) } else { Err(format!("{found:?}\nwhere a calm run has\n{calm:?}")) }
}

/// No key has fewer lines.
fn no_fewer_lines(files: &[String], calm: &[String]) -> Result<(), String> {
    let found = lines(files);
    for key in calm.iter().filter_map(|line| line.split(',').next()) {
        let of_key = |lines: &[String]| {
            lines.iter().filter(|line| line.split(',').next() == Some(key)).count()
        };
        if of_key(&found) < of_key(calm) {
            return Err(format!("{key} has {} lines, not {}", of_key(&found), of_key(calm)));
        }
    }
    Ok(())
}

/// Runs some seeds, and says which one fails.
fn run(seeds: Range<u64>, job: &Job, oracle: Oracle) -> (u64, u64) {
    let plans = Plans::new(job);
    let mut sum = (0, 0);
    for seed in seeds {
        match simulate(seed, &plans, |disk| Arc::new(disk), oracle) {
            Ok((restarts, restored)) => sum = (sum.0 + restarts, sum.1 + restored),
            Err(why) => panic!(
                "seed {seed} fails; TIDEGATE_TEST_SEED={seed} cargo xtask test suite runs it \
                 alone: {why}"
            ),
        }
    }
    sum
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Runs so many seeds, or what the environment asks for instead.
fn run_all(seeds: u64, job: Job, oracle: Oracle) {
    if let Some(seed) = number("TIDEGATE_TEST_SEED") {
        run(seed..seed + 1, &job, oracle);
        return;
    }
    let more = number("TIDEGATE_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let seeds = (seeds * more / SEEDS).max(1);
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(move || run(seeds / 2..seeds, &job, oracle));
        (run(0..seeds / 2, &job, oracle), second.join().expect("the other half holds too"))
    });
    let (restarts, restored) = (first.0 + second.0, first.1 + second.1);
    println!("{seeds} seeds: {restarts} restarts, {restored} of them from a checkpoint");
    assert!(restored * 4 > seeds, "restarts go on from checkpoints");
}

#[test]
fn output_is_that_of_a_run_without_failures() {
    run_all(SEEDS, HASHMAP, counted_once);
}

#[test]
fn state_moves_between_backends() {
    run_all(SEEDS / 50, Job { backends: &["rocksdb", "hashmap"], ..HASHMAP }, counted_once);
}

#[test]
fn tables_are_shared_and_swept() {
    run_all(SEEDS / 50, Job { backends: &["rocksdb"], ..HASHMAP }, counted_once);
}

#[test]
fn timers_fire_once() {
    run_all(SEEDS / 4, Job { operators: VIEWS, ..HASHMAP }, same_lines);
}

#[test]
fn state_expires_alike_on_both_backends_and_after_restarts() {
    let job = Job { operators: AGING, backends: &["hashmap", "rocksdb"], ..HASHMAP };
    run_all(SEEDS / 20, job, same_lines);
}

#[test]
fn without_alignment_nothing_is_lost() {
    run_all(SEEDS / 4, Job { mode: "at-least-once", ..HASHMAP }, no_fewer_lines);
}

/// A record every quarter of an hour, so that many folders are open at once.
#[test]
fn output_in_folders_is_that_of_a_run_without_failures() {
    let job = Job {
        more_source: "step_ms = 900000",
        more_sink: "partition_by = \"%Y-%m-%d/%H\"\nroll_after = \"5ms\"",
        ..HASHMAP
    };
    run_all(SEEDS / 4, job, same_lines);
}

/// Whether some seed shows that the protocol is broken.
fn is_caught(wrap: Wrap) -> bool {
    let plans = Plans::new(&HASHMAP);
    (0..300).any(|seed| simulate(seed, &plans, wrap, counted_once).is_err())
}

fn is_manifest(path: &Path) -> bool {
    path.starts_with(CHECKPOINTS) && path.ends_with("manifest")
}

fn is_state(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "state")
}

#[test]
fn a_commit_before_the_manifest_is_caught() {
    // The manifest waits until the next checkpoint is being uploaded.
    assert!(is_caught(|disk| Arc::new(Reordered::new(disk, is_manifest, is_state))));
}

#[test]
fn a_manifest_before_the_upload_is_caught() {
    assert!(is_caught(|disk| Arc::new(Reordered::new(disk, is_state, is_manifest))));
}
