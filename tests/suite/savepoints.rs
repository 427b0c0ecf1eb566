//! A savepoint is all that a job needs to go on: elsewhere, on another backend, at another
//! parallelism. The output in the end is that of a run that was never interrupted.

use std::fs;

use tidegate_tests::Ended;
use tidegate_tests::counting::{Counting, NAME};

/// The number of a savepoint that lies in the job's storage.
fn number(place: &str) -> u64 {
    let number = place.rsplit_once("/savepoints/sp-").and_then(|(_, number)| number.parse().ok());
    number.unwrap_or_else(|| panic!("{place} is no savepoint of the storage"))
}

/// The one line that a command answers.
fn answer(ended: &Ended) -> String {
    ended.stdout.trim_end().to_owned()
}

/// Savepoint, cancel, restored from the savepoint on the other backend, stopped with a savepoint
/// elsewhere, restored from there on the first backend again.
fn goes_on_elsewhere(first: &str, second: &str) {
    let job = Counting::new("moves");
    let running = job.run().set("state.backend", first).start();
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(2));
    let savepoint = answer(&job.ask(&["savepoint", NAME]).run().expect(0));
    let id = number(&savepoint);
    // The job goes on, so that there is output which the restored one writes again.
    job.wait(|status| status["checkpoints"]["last"]["id"].as_u64() > Some(id + 1));
    job.ask(&["cancel", NAME]).run().expect(0).expect_story(["is cancelled"]);
    running.wait().expect(130).expect_story(["Cancelled in"]);
    let newest = *job.checkpoints().last().expect("there are some");

    let restored = job.run().arg("--restore").arg(&savepoint).set("state.backend", second);
    let running = restored.set("job.parallelism", 3).start();
    let status = job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(1));
    assert_eq!(status["checkpoints"]["restored_from"], id);
    let stop = job.ask(&["stop", NAME, "--savepoint", "elsewhere"]).run().expect(0);
    let elsewhere = format!("file://{}", job.folder().join("elsewhere").display());
    assert_eq!(answer(&stop), elsewhere);
    stop.expect_story(["has stopped"]);
    let warning = format!("out/ holds output from after savepoint {id}; it gives way");
    running.wait().expect(130).expect_story([warning]);

    // What was taken after the savepoint is of a past that is undone.
    let undone = |checkpoint: &u64| *checkpoint > id && *checkpoint <= newest;
    assert!(!job.checkpoints().iter().any(undone), "{:?}", job.checkpoints());

    // It holds all that is needed, so it can be moved.
    fs::rename(job.folder().join("elsewhere"), job.folder().join("moved")).expect("a rename");
    let restored = job.run().arg("--restore").arg("moved").set("state.backend", first);
    restored.set("job.parallelism", 1).set("source.in.rate", 1_000_000).run().expect(0);
    job.assert_exactly_once();

    assert!(job.checkpoints().is_empty(), "a job that has finished needs none");
    job.ask(&["checkpoints", "verify", &savepoint]).run().expect(0);
}

#[test]
fn from_hashmap_to_rocksdb_and_back() {
    goes_on_elsewhere("hashmap", "rocksdb");
}

#[test]
fn from_rocksdb_to_hashmap_and_back() {
    goes_on_elsewhere("rocksdb", "hashmap");
}

/// `stop --savepoint` leaves a savepoint that is newer than every checkpoint.
#[test]
fn recovery_prefers_what_the_job_file_says() {
    let stopped = Counting::new("preference");
    let running = stopped.run().start();
    stopped.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(2));
    let stop = stopped.ask(&["stop", NAME, "--savepoint"]).run().expect(0);
    let savepoint = number(&answer(&stop));
    running.wait().expect(130);
    let checkpoint = *stopped.checkpoints().last().expect("there are some");
    assert!(savepoint > checkpoint);

    let job = stopped.copy("savepoint");
    assert_eq!(job.finish("latest").1, Some(savepoint));

    let job = stopped.copy("checkpoint");
    let text = job.folder().read("job.toml");
    job.folder().write("job.toml", text.replace("keep = 3", "prefer_checkpoint = true"));
    let (story, restored_from) = job.finish("latest");
    assert_eq!(restored_from, Some(checkpoint), "{story}");
}

/// A job without end of its own says why it takes no savepoint, and goes on.
#[test]
fn a_savepoint_that_cannot_be_taken_does_no_harm() {
    let job = Counting::new("refused");
    let running = job.run().start();
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(1));
    job.folder().write("full/letter.txt", "dear diary");
    let full = job.ask(&["savepoint", NAME, "full"]).run().expect(1);
    full.expect_story(["full is not empty", "hint: name a folder that is empty or not there"]);
    let file = job.ask(&["savepoint", NAME, "job.toml/below"]).run().expect(4);
    file.expect_story(["job.toml/below", "Not a directory"]);
    job.ask(&["stop", NAME]).run().expect(0);
    running.wait().expect(130);
    job.finish("latest");

    let text = job.folder().read("job.toml");
    let (before, after) = text.split_once("[checkpoint]").expect("it takes checkpoints");
    let (_, after) = after.split_once("[restart]").expect("the next section");
    job.folder().write("plain.toml", format!("{before}[restart]{after}"));
    let running = job.run_file("plain.toml").set("source.in.count", 1_000_000).start();
    job.wait(|status| status["state"] == "running");
    for command in [&["savepoint", NAME][..], &["stop", NAME, "--savepoint"]] {
        let story = ["it takes no savepoints", "hint: add [checkpoint] to the job file"];
        job.ask(command).run().expect(1).expect_story(story);
    }
    job.ask(&["cancel", NAME]).run().expect(0);
    running.wait().expect(130);
}
