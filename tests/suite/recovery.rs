//! What a job does when something around it fails: how often it starts again, what it says, with
//! which status it gives up, and that the checkpoint before is whole.

use std::fs;
use std::os::unix::fs::symlink;

use tidegate_tests::counting::Counting;
use tidegate_tests::job::Source;
use tidegate_tests::{Ended, Folder, Job};

/// A job whose function faults at line 3, restarted by these keys of `[restart]`. Returns what it
/// said, with how many restarts.
fn fault(restart: &str) -> (Ended, usize) {
    let folder = Folder::new("fault");
    let path = folder.write("clicks.csv", "a,/,1\nb,/,2\na,/poison,3\na,/,4\n");
    let more = format!("[checkpoint]\nstorage = \"file://checkpoints\"\n[restart]\n{restart}\n");
    let job = Job::new(folder, Source::clicks(&path, 0)).operator("pv", "fail", "0", &more);
    let ended = job.run().expect(3).expect_story(["operator \"pv\"", "\"a\"", "clicks.csv:3"]);
    let restarts = ended.stderr.matches("; the job restarts in ").count();
    assert_eq!(job.report().0["restarts"], restarts);
    assert_eq!(job.report().0["status"], "failed");
    (ended, restarts)
}

#[test]
fn a_job_without_restarts_ends_at_once() {
    let (ended, restarts) = fault("strategy = \"none\"");
    assert_eq!(restarts, 0);
    assert!(!ended.stderr.contains("restart"), "{}", ended.stderr);
}

#[test]
fn fixed_delay_gives_up_after_its_attempts() {
    let (ended, restarts) = fault("strategy = \"fixed-delay\"\nattempts = 2\ndelay = \"10ms\"");
    assert_eq!(restarts, 2);
    let why = "2 restarts were made, as many as `restart.attempts` allows.";
    ended.expect_story(["the job restarts in 10ms", why]);
}

#[test]
fn failure_rate_gives_up_when_failures_come_too_fast() {
    let (ended, restarts) =
        fault("strategy = \"failure-rate\"\nfailures = 2\ninterval = \"1h\"\ndelay = \"10ms\"");
    assert_eq!(restarts, 2);
    ended.expect_story(["3 failures within 3600 s are more than `restart.failures` allows."]);
}

#[test]
fn exponential_delay_waits_longer_each_time() {
    let (ended, restarts) = fault(
        "strategy = \"exponential-delay\"\ninitial_delay = \"10ms\"\nmax_delay = \"30ms\"\n\
         multiplier = 2\njitter = 0\nattempts = 3",
    );
    assert_eq!(restarts, 3);
    ended.expect_story([
        "restarts in 10ms",
        "restarts in 20ms",
        "restarts in 30ms",
        "3 restarts were made, as many as `restart.attempts` allows, and none ran well for \
         3600 s.",
    ]);
}

/// The checkpoint storage turns into a file, as if its disk had gone, and comes back.
#[test]
fn a_storage_that_comes_back_heals_the_job() {
    let job = Counting::new("heals");
    let at = |name: &str| job.folder().join(name);
    job.folder().write("blocked", "no folder");
    fs::create_dir(at("real")).expect("it is new");
    // A rename: at no time is there nothing, in place of which the job would make a new folder.
    let point_to = |target: &str| {
        symlink(target, at("link")).and_then(|()| fs::rename(at("link"), at("checkpoints")))
    };
    point_to("real").expect("links can be made");
    let restart = |key: &str| format!("restart.{key}");
    let run = job.run().set(&restart("strategy"), "fixed-delay").set(&restart("attempts"), 10_000);
    let running = run.set(&restart("delay"), "20ms").start();
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(2));
    point_to("blocked").expect("links can be made");
    job.wait(|status| status["restarts"].as_u64() >= Some(3));
    point_to("real").expect("links can be made");
    let restarted = |status: &serde_json::Value| {
        status["state"] == "running" && status["checkpoints"]["restored_from"].is_u64()
    };
    job.wait(restarted);
    running.wait().expect(0).expect_story([
        "failed: cannot write",
        "cannot read file://",
        "Not a directory",
        "the job restarts in 20ms",
    ]);
    job.assert_exactly_once();
}

/// A job that was told to restart does not begin anew because its checkpoints are gone.
#[test]
fn checkpoints_that_are_gone_are_not_nothing() {
    let job = Counting::new("gone");
    let at = |name: &str| job.folder().join(name);
    fs::create_dir_all(at("real")).expect("it is new");
    symlink("real", at("checkpoints")).expect("links can be made");
    let run = job.run().set("restart.strategy", "fixed-delay").set("restart.attempts", 2);
    let running = run.set("restart.delay", "10ms").start();
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(2));
    // A link to nothing: folders can neither be listed nor made there.
    symlink("nowhere", at("link")).expect("links can be made");
    fs::rename(at("link"), at("checkpoints")).expect("a rename");
    running.wait().expect(4).expect_story([
        "error: the checkpoints of this run are no longer in file://checkpoints",
        "hint: bring them back, or start the job anew with `--restore none`; 2 restarts were made",
    ]);
    fs::remove_file(at("checkpoints")).expect("it is a link");
    fs::rename(at("real"), at("checkpoints")).expect("a rename");
    job.finish("latest");
}

/// Runs a cancelled job on, with files that cannot grow beyond 20 KiB, and more settings. It fails
/// as on a full disk; what was there before is whole, and the job goes on once there is room.
fn fills_the_disk(settings: &[(&str, &str)], story: &[&str]) {
    let job = Counting::cancelled("full", "hashmap");
    let newest = *job.checkpoints().last().expect("there are some");
    let run =
        job.run().arg("--restore").arg("latest").file_blocks_max(40).set("job.parallelism", 1);
    let run = settings.iter().fold(run, |run, (key, value)| run.set(key, value));
    let ended = run.run().expect(4).expect_story(["File too large"]);
    ended.expect_story(story);
    assert_eq!(job.checkpoints().last(), Some(&newest));
    let verified = job.ask(&["checkpoints", "verify", &format!("checkpoints/chk-{newest}")]);
    assert!(verified.run().expect(0).stdout.contains("is whole"));
    assert_eq!(job.finish("latest").1, Some(newest));
}

/// Slow, so that output is short and it is the state that has no room.
#[test]
fn no_room_for_a_checkpoint() {
    let story = ["failed: cannot write chk-", "/checkpoints", "hint: look at the storage"];
    fills_the_disk(&[("source.in.rate", "500")], &story);
}

/// Fast, so that output has no room before the next checkpoint.
#[test]
fn no_room_for_output() {
    let settings = [("source.in.rate", "1000000"), ("checkpoint.interval", "10m")];
    fills_the_disk(&settings, &["cannot write .part-0-after-", "/out", "Caused by:"]);
}

/// Neither the super-user nor anybody else can write below a file.
#[test]
fn a_storage_that_is_no_folder_is_refused() {
    let job = Counting::new("blocked");
    job.folder().write("checkpoints", "no folder");
    let files = job.files();
    let ended = job.run().run().expect(1);
    ended.expect_story(["checkpoint.storage", "checkpoints is a file", "hint: name a folder"]);
    assert_eq!(job.files(), files);
}
