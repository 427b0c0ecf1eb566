//! Whatever file is offered as a component: it is refused, or taken for what it is, in bounded time
//! and memory, without a panic. Ten thousand random byte strings and a thousand mutants of real
//! components, through what `inspect`, `check` and `swap` have in common, and some of them through
//! the commands.

use std::process::Command;
use std::time::{Duration, Instant};

use tidegate::job::control::{Confirm, OnFault, Registry, Request, SwapOutcome, SwapRequest};
use tidegate::wasm::{Component, Engine};
use tidegate_tests::mutants::Mutants;
use tidegate_tests::random::seed;
use tidegate_tests::swapping::{NAME, Swapping};
use tidegate_tests::{Folder, Tidegate};

const STRINGS: usize = 10_000;
const MUTANTS: usize = 1_000;

/// Written by hand against the contract, and with the SDK. Small ones, for the sake of time.
const CRATES: [&str; 4] = ["malformed", "meddler", "flood", "count"];

/// No file takes so long: a second is what a function has to describe itself.
const TIME_MAX: Duration = Duration::from_secs(10);

/// What a process needs to compile the components, some at a time, and no more.
const MEMORY_KIB_MAX: u64 = 256 << 10;

/// In a process of its own, so that its memory is its own, and a crash is seen.
#[test]
fn no_file_does_harm() {
    let ended = Command::new(std::env::current_exe().expect("a test has a file"))
        .args(["--exact", "hostile_components::offer_all", "--ignored", "--nocapture"])
        .output()
        .expect("the test starts");
    let story = [ended.stdout, ended.stderr].concat();
    let story = String::from_utf8_lossy(&story);
    assert!(ended.status.success(), "{}\n{story}", ended.status);
    assert!(story.contains("1 passed"), "{story}");
}

/// Offers all of it. Run by `no_file_does_harm`.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn offer_all() {
    let seed = seed();
    let engine = Engine::new().expect("wasm runs here");
    let mut mutants = Mutants::new(seed, &CRATES);
    let strings = (0..STRINGS).filter(|number| {
        let bytes = mutants.random_bytes();
        offer(&engine, &bytes, &format!("string {number} of seed {seed}"))
    });
    // One that is cut off right before what only tells of its making is a function still.
    let taken = strings.count();
    assert!(taken < 5, "{taken} strings of seed {seed} pass for functions");
    let offered = (0..MUTANTS).filter(|number| {
        let bytes = mutants.mutant();
        offer(&engine, &bytes, &format!("mutant {number} of seed {seed}"))
    });
    let taken = offered.count();
    println!("{taken} of {MUTANTS} mutants are functions still; peak memory {} KiB", peak_kib());
    // A bit of a constant or of code, and the function is another one; most are none any more.
    assert!((1..MUTANTS).contains(&taken), "{taken} of {MUTANTS} mutants are taken");
    assert!(peak_kib() < MEMORY_KIB_MAX, "{} KiB", peak_kib());
}

/// Whether the file is taken for a function.
fn offer(engine: &Engine, bytes: &[u8], name: &str) -> bool {
    let start = Instant::now();
    let component = Component::from_bytes(engine, "file.wasm", bytes);
    let elapsed = start.elapsed();
    assert!(elapsed < TIME_MAX, "{name} takes {elapsed:?}");
    if let Err(error) = &component {
        assert!(error.message.contains("file.wasm"), "{name}: {error}");
    }
    component.is_ok()
}

/// A running job that is asked to swap to them refuses each in bounded time and goes on: its output
/// is that of a job that nobody has asked for anything.
///
/// `TIDEGATE_HOSTILE_SWAPS=10` offers ten times as many: 10,000 strings and 1,000 mutants.
#[test]
fn a_running_job_is_not_disturbed() {
    let times = std::env::var("TIDEGATE_HOSTILE_SWAPS").map_or(1, |text| text.parse().unwrap());
    let job = Swapping::new("swap-hostile", "hashmap", 10_000_000);
    let running = job.run("none").start();
    job.wait_for_records(1_000);
    let registry = Registry::in_folder(job.folder().join("tidegate")).expect("there is a user");
    let client = registry.find(NAME).expect("it runs").client;
    let mut mutants = Mutants::new(seed(), &CRATES);
    let path = job.folder().join("hostile.wasm");
    for number in 0..1_100 * times {
        let is_string = number < 1_000 * times;
        let bytes = if is_string { mutants.random_bytes() } else { mutants.mutant() };
        std::fs::write(&path, bytes).expect("the folder takes it");
        let request = SwapRequest {
            operator: "count".into(),
            component: Some(path.clone()),
            // One that is a function still is no function that this job should run.
            dry_run: !is_string,
            shadow: None,
            promote: false,
            on_fault: OnFault::Rollback,
            confirm: Confirm::Checkpoints(0),
        };
        let start = Instant::now();
        let answer = client.request(&Request::Swap(request));
        let name = format!("file {number} of seed {}", seed());
        assert!(start.elapsed() < TIME_MAX, "{name} takes {:?}", start.elapsed());
        if let Ok(swap) = answer {
            let outcome = swap.swap.expect("it was a swap").outcome;
            let changed = matches!(outcome, SwapOutcome::Swapped { .. });
            assert!(!changed, "{name}: {outcome:?}");
        }
    }
    let status = client.status().expect("it runs still");
    assert_eq!(status.restarts, 0);
    job.ask(&["stop", NAME]).run().expect(0);
    let told = running.wait().expect(130);
    assert!(!told.stderr.contains("thread '"), "{}", told.stderr);
    assert_eq!(job.versions_so_far().len(), 1);
}

/// The most memory that this process ever had.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it is there");
    line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number")
}

/// Some of them through the commands: what is none, `inspect` and `check` refuse alike.
#[test]
fn the_commands_refuse_them() {
    let seed = seed();
    let folder = Folder::new("hostile");
    folder.write("clicks.csv", "a,/,1\n");
    let job = folder.write(
        "job.toml",
        "[job]\nname = \"test\"\n\
         [[source]]\nid = \"in\"\nconnector = \"file\"\npath = \"clicks.csv\"\nformat = \"csv\"\n\
         [[operator]]\nid = \"op\"\ncomponent = \"file.wasm\"\ninputs = [{ from = \"in\" }]\n\
         [[sink]]\nid = \"out\"\nconnector = \"discard\"\nfrom = \"op\"\n",
    );
    let mut mutants = Mutants::new(seed, &CRATES);
    for number in 0..60 {
        let bytes = if number < 40 { mutants.random_bytes() } else { mutants.mutant() };
        let path = folder.write("file.wasm", bytes);
        let inspect = Tidegate::new([std::ffi::OsStr::new("inspect"), path.as_os_str()]).run();
        let check = Tidegate::check_job(&job).run();
        let name = format!("file {number} of seed {seed}");
        for ended in [&inspect, &check] {
            let story = &ended.stderr;
            assert!(!story.contains("thread '"), "{name}: the host panicked:\n{story}");
            assert!(matches!(ended.status, Some(0 | 1)), "{name}: {:?}\n{story}", ended.status);
        }
        if inspect.status == Some(1) {
            assert_eq!(check.status, Some(1), "{name}");
            assert!(inspect.stderr.contains("file.wasm"), "{name}: {}", inspect.stderr);
        }
    }
}
