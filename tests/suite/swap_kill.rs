//! SIGKILL at any moment around swaps, migrations and rollbacks: state and code agree after each
//! restore, and the output is that of functions that change at one place of the input.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tidegate_tests::random::Random;
use tidegate_tests::swapping::{FAST, Swapping};

const KILLS: usize = 100;

/// What is asked of the job while it lives: the version, and the arguments.
const BEFORE: &[(&str, &[&str])] = &[
    ("swap-v2", &["--confirm-after", "1"]),
    ("swap-v1", &["--confirm-after", "0"]),
    ("swap-more", &["--confirm-after", "2"]),
    ("swap-ttl", &["--confirm-after", "1"]),
    // Never confirmed: it panics every quarter of a second.
    ("swap-faulty", &["--confirm-after", "10m"]),
    // The state of one key cannot be migrated, so that it is undone each time.
    ("swap-bad-migration", &["--confirm-after", "1"]),
];

/// And in the last third, from when on the state is of a version that the others cannot read.
const AFTER: &[(&str, &[&str])] = &[("swap-wide", &["--confirm-after", "2"])];

/// Lets the job live until what is not confirmed is confirmed or undone and it runs this version.
fn settle(job: &Swapping, version: &str) {
    let running = job.run("latest").start();
    while job.swap(version, &["--confirm-after", "0"]).run().status != Some(0) {}
    job.wait_for_swap("confirmed");
    running.kill_after(Duration::ZERO);
}

fn survives(backend: &str, seed: u64) {
    let job = Swapping::new("swap-killed", backend, 4_000_000);
    let mut random = Random::new(seed);
    for turn in 0..KILLS {
        let asked = if turn < KILLS * 2 / 3 { BEFORE } else { AFTER };
        if turn == KILLS * 2 / 3 {
            settle(&job, "swap-v2");
        }
        let running = job.run("latest").start();
        let (version, arguments) = *random.choose(asked);
        // Half of them die after the swap, the others around it or while they start.
        let (waits_for_job, waits_for_swap) = (!random.once_in(8), random.once_in(2));
        let time = Duration::from_millis(random.between(0, 200) as u64);
        let lives = AtomicBool::new(true);
        thread::scope(|scope| {
            // Refused while another one is not confirmed; fails if the job dies.
            let swap = scope.spawn(|| {
                while lives.load(Ordering::Relaxed) {
                    let answer = job.swap(version, arguments).run();
                    if !answer.stderr.contains("no running job") {
                        return;
                    }
                }
            });
            if waits_for_job {
                job.wait(|status| status["nodes"][1]["records_in"].as_u64() > Some(0));
                if waits_for_swap {
                    swap.join().expect("it does not panic");
                }
            }
            running.kill_after(time);
            lives.store(false, Ordering::Relaxed);
        });
    }
    settle(&job, "swap-wide");
    job.run("latest").set("source.in.rate", FAST).run().expect(0);
    let versions = job.versions();
    let count = |tag: &str| versions.iter().filter(|(of, _)| of == tag).count();
    println!("seed {seed}: {versions:?}");
    assert!(versions.len() > 5, "seed {seed}: hardly anything was swapped: {versions:?}");
    assert_eq!(count("bad-migration"), 0, "seed {seed}: undone, and never seen: {versions:?}");
    assert_eq!(versions.last().map(|(tag, _)| tag.as_str()), Some("wide"), "seed {seed}");
}

#[test]
fn hashmap_survives_a_hundred_kills_around_swaps() {
    survives("hashmap", 11);
}

#[test]
fn rocksdb_survives_a_hundred_kills_around_swaps() {
    survives("rocksdb", 12);
}
