//! `tidegate swap` gives an operator of a running job another function: nothing is lost, nothing
//! comes twice, and there is a way back.

use tidegate_tests::binary::component;
use tidegate_tests::swapping::{FAST, NAME, Swapping};

/// The versions that have counted, in the order of the records.
#[track_caller]
fn tags(job: &Swapping) -> Vec<String> {
    job.versions().into_iter().map(|(tag, _)| tag).collect()
}

/// Lets the job run to its end.
fn finish(job: &Swapping) {
    job.ask(&["stop", NAME]).run().expect(0);
    job.run("latest").set("source.in.rate", FAST).run().expect(0);
}

fn changes_over_and_keeps_state(backend: &str) {
    let job = Swapping::new("swap-keeps-state", backend, 400_000);
    let running = job.run("none").start();
    let mut expected = vec!["v1"];
    let swaps = ["swap-v2", "swap-more", "swap-ttl", "swap-v1", "swap-wide"];
    for (version, tag) in swaps.into_iter().zip(["v2", "more", "ttl", "v1", "wide"]) {
        job.wait_for_records(3_000);
        let swapped = job.swap(version, &["--confirm-after", "1"]).run().expect(0);
        assert!(swapped.stdout.contains("swapped at file://"), "{}", swapped.stdout);
        expected.push(tag);
        job.wait_for_swap("confirmed");
    }
    job.wait_for_records(2_000);
    finish(&job);
    running.wait().expect(130);
    assert_eq!(tags(&job), expected);
}

#[test]
fn state_lives_through_five_versions_on_hashmap() {
    changes_over_and_keeps_state("hashmap");
}

#[test]
fn state_lives_through_five_versions_on_rocksdb() {
    changes_over_and_keeps_state("rocksdb");
}

#[test]
fn a_fault_brings_the_version_before_back() {
    let job = Swapping::new("swap-faulty", "hashmap", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(2_000);
    job.swap("swap-faulty", &["--confirm-after", "10m"]).run().expect(0);
    job.wait_for_swap("rolled back");
    job.wait_for_records(10_000);
    finish(&job);
    let told = running.wait().expect(130);
    told.expect_story(["the swap of \"count\" is rolled back", "is one to panic at"]);
    assert_eq!(tags(&job), ["v1", "faulty", "v1"]);
}

#[test]
fn a_fault_after_the_swap_is_confirmed_fails_the_job() {
    let job = Swapping::new("swap-faulty-late", "hashmap", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(1_000);
    job.swap("swap-faulty", &["--on-fault", "fail"]).run().expect(0);
    running.wait().expect(3).expect_story(["is one to panic at"]);
}

fn a_migration_fault_undoes_the_swap(backend: &str) {
    let job = Swapping::new("swap-bad-migration", backend, 400_000);
    let running = job.run("none").start();
    job.wait_for_records(6_000);
    // The answer may come before or after the fault.
    let swapped = job.swap("swap-bad-migration", &["--confirm-after", "1"]).run();
    assert!(matches!(swapped.status, Some(0 | 3)), "{swapped:?}");
    job.wait(|status| status["restarts"] == 1);
    job.wait_for_records(4_000);
    finish(&job);
    let told = running.wait().expect(130);
    told.expect_story(["is rolled back", "cannot take state \"count\" of key \"user_7\""]);
    // Nothing that the new version did was ever visible.
    assert_eq!(tags(&job), ["v1"]);
}

#[test]
fn a_migration_fault_undoes_the_swap_on_hashmap() {
    a_migration_fault_undoes_the_swap("hashmap");
}

#[test]
fn a_migration_fault_undoes_the_swap_on_rocksdb() {
    a_migration_fault_undoes_the_swap("rocksdb");
}

#[test]
fn goes_back_by_hand_before_and_after_it_is_confirmed() {
    let job = Swapping::new("swap-back", "hashmap", 400_000);
    let running = job.run("none").start();
    let back = || job.ask(&["swap", NAME, "count", "--to-previous"]).run();
    job.wait_for_records(1_000);
    let nothing = back().expect(1);
    assert!(nothing.stderr.contains("no function came before"), "{}", nothing.stderr);
    job.swap("swap-v2", &["--confirm-after", "10m"]).run().expect(0);
    job.wait_for_records(3_000);
    let second = job.swap("swap-more", &[]).run().expect(1);
    assert!(second.stderr.contains("is not confirmed yet"), "{}", second.stderr);
    assert!(back().expect(0).stdout.contains("the function before is back"));
    job.wait_for_records(3_000);
    job.swap("swap-v2", &["--confirm-after", "0"]).run().expect(0);
    job.wait_for_records(3_000);
    back().expect(0);
    job.wait_for_records(3_000);
    finish(&job);
    running.wait().expect(130);
    assert_eq!(tags(&job), ["v1", "v2", "v1", "v2", "v1"]);
}

#[test]
fn a_migration_can_be_undone_by_hand_before_it_is_confirmed() {
    let job = Swapping::new("swap-wide-back", "rocksdb", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(3_000);
    job.swap("swap-wide", &["--confirm-after", "10m"]).run().expect(0);
    job.wait_for_records(3_000);
    job.ask(&["swap", NAME, "count", "--to-previous"]).run().expect(0);
    job.wait_for_records(3_000);
    finish(&job);
    running.wait().expect(130);
    assert_eq!(tags(&job), ["v1"]);
}

#[test]
fn what_cannot_take_over_is_refused_and_changes_nothing() {
    let job = Swapping::new("swap-refused", "hashmap", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(1_000);
    for (version, difference) in [
        ("swap-kind", "refused: state \"count\" is a map, not a value"),
        ("swap-type", "needs a migration: state \"count\" is of type String, not u64"),
        ("temp-alert", "refused: "),
        ("avg-ts", "refused: "),
    ] {
        for dry_run in [&["--dry-run"][..], &[]] {
            let refused = job.swap(version, dry_run).run();
            let told = &refused.stdout;
            if version.starts_with("swap") {
                assert!(told.contains(difference), "{version}: {told}");
                refused.expect(1);
            }
        }
    }
    let unknown = job.ask(&["swap", NAME, "cuont", "job.toml"]).run().expect(1);
    assert!(unknown.stderr.contains("no operator \"cuont\""), "{}", unknown.stderr);
    let text = job.ask(&["swap", NAME, "count", "job.toml"]).run().expect(1);
    assert!(text.stderr.contains("is not a wasm file"), "{}", text.stderr);
    let source = job.ask(&["swap", NAME, "in", "job.toml"]).run().expect(1);
    assert!(source.stderr.contains("it is a source"), "{}", source.stderr);
    finish(&job);
    running.wait().expect(130);
    assert_eq!(tags(&job), ["v1"]);
}

#[test]
fn a_shadow_run_tells_the_differences_and_promotes_what_has_none() {
    let job = Swapping::new("swap-shadow", "hashmap", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(1_000);
    let shadow = ["--shadow", "20", "--promote"];
    let differs = job.swap("swap-v2", &shadow).run().expect(1);
    let told = &differs.stdout;
    assert!(told.contains("40 calls"), "{told}");
    assert!(told.contains("40 in outputs, 0 in state, 0 in timers, 0 in faults"), "{told}");
    assert!(told.contains(",v1\"") && told.contains(",v2\""), "{told}");
    let same = job.swap("swap-v1", &shadow).run().expect(0);
    assert!(same.stdout.contains("no difference"), "{}", same.stdout);
    assert!(same.stdout.contains("swapped at"), "{}", same.stdout);
    let migrates = job.swap("swap-wide", &["--confirm-after", "0", "--shadow", "1"]).run();
    migrates.expect(1);
    finish(&job);
    running.wait().expect(130);
    assert_eq!(tags(&job), ["v1"]);
}

#[test]
fn a_restore_runs_the_code_that_the_state_belongs_to() {
    let job = Swapping::new("swap-restore", "hashmap", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(2_000);
    job.swap("swap-wide", &["--confirm-after", "1"]).run().expect(0);
    job.wait_for_swap("confirmed");
    let savepoint = job.ask(&["savepoint", NAME, "saved"]).run().expect(0);
    assert!(savepoint.stdout.contains("saved"), "{}", savepoint.stdout);
    job.wait_for_records(2_000);
    running.kill_after(std::time::Duration::ZERO);
    // The job file still names the first version, which cannot read the state.
    let refused = job.run("latest").arg("--code").arg("job").run().expect(1);
    assert!(refused.stderr.contains("has schema version 2"), "{}", refused.stderr);
    // Whatever lies there by now.
    job.folder().write("swap_v1.wasm", "no component at all");
    let at_once = job.run("latest").set("source.in.rate", FAST).run().expect(0);
    at_once.expect_story(["operator `count` goes on with the function of the checkpoint"]);
    assert_eq!(tags(&job), ["v1", "wide"]);
    // A savepoint holds it too.
    job.run("saved").set("source.in.rate", FAST).set("state.backend", "rocksdb").run().expect(0);
    assert_eq!(tags(&job), ["v1", "wide"]);
}

#[test]
fn the_code_of_the_job_file_takes_over_from_a_swap_that_was_not_confirmed() {
    let job = Swapping::new("swap-overruled", "hashmap", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(2_000);
    job.swap("swap-v2", &["--confirm-after", "10m"]).run().expect(0);
    job.wait_for_records(2_000);
    job.ask(&["savepoint", NAME, "saved"]).run().expect(0);
    running.kill_after(std::time::Duration::ZERO);
    let with_job_code = || job.run("saved").arg("--code").arg("job").set("source.in.rate", FAST);
    // One that has no place for the state: there is nothing to come back to that would need it.
    let other = std::fs::read(component("stamp")).expect("it is built");
    job.folder().write("swap_v1.wasm", other);
    with_job_code().run().expect(1).expect_story(["nothing is restored in part"]);
    let own = std::fs::read(component("swap-v1")).expect("it is built");
    job.folder().write("swap_v1.wasm", own);
    with_job_code().run().expect(0);
    assert_eq!(tags(&job), ["v1", "v2", "v1"]);
}

/// A restart goes on with what was swapped in, though the run began with the job file's code.
#[test]
fn a_restart_keeps_what_was_swapped_for_the_code_of_the_job_file() {
    let job = Swapping::new("swap-kept", "hashmap", 400_000);
    let running = job.run("none").start();
    job.wait_for_records(2_000);
    running.kill_after(std::time::Duration::ZERO);
    let again = job.run("latest").arg("--code").arg("job").set("restart.strategy", "fixed-delay");
    let again = again.set("restart.attempts", 1).set("restart.delay", "10ms").start();
    job.wait_for_records(1_000);
    job.swap("swap-faulty", &["--on-fault", "fail"]).run().expect(0);
    // The version that faults faults again.
    again.wait().expect(3).expect_story(["the job restarts in", "is one to panic at"]);
}
