//! A folder that is watched: files that appear while the job runs are read, each once, whatever
//! ends the job in between.

use std::fs;
use std::time::Duration;

use tidegate_tests::Tidegate;
use tidegate_tests::counted::{Counted, clicks};
use tidegate_tests::servers::wait_until;

const SOURCE: &str = "connector = \"file\"\npath = \"in\"\nwatch = \"20ms\"\nformat = \"csv\"\n\
                      timestamp = { field = 2 }\n";

/// A job that watches an empty folder.
fn watching(name: &str) -> Counted {
    let job = Counted::new(name, SOURCE, Counted::file_sink(), Counted::checkpoints());
    fs::create_dir_all(job.folder().join("in")).expect("it is new");
    job
}

/// Puts a file into the folder at once.
fn put(job: &Counted, name: &str, text: &str) {
    let unfinished = job.folder().write("unfinished", text);
    fs::rename(unfinished, job.folder().join("in").join(name)).expect("a rename");
}

#[test]
fn files_that_appear_are_read() {
    let job = watching("appear");
    put(&job, "before", &clicks(0, 100));
    // Far slower than the file below is written.
    let running = job.run().set("source.in.watch", "1s").start();
    job.wait_for(100);
    put(&job, "second", &clicks(100, 100));
    put(&job, ".hidden", &clicks(0, 100));
    job.wait_for(200);
    // Written bit by bit: it is read once it has stopped to grow.
    let slow = job.folder().join("in/slow");
    let mut written = 0;
    wait_until("the file is written", Duration::from_secs(60), || {
        written += 10;
        let text = clicks(200, written);
        // The same file, longer each time.
        fs::write(&slow, text).expect("the folder can be written");
        written == 100
    });
    job.wait_for(300);
    fs::remove_file(job.folder().join("in/before")).expect("it was read");
    put(&job, "third", &clicks(300, 50));
    // Whoever has found that one has seen that the other is gone. A name that comes again is
    // another file.
    job.wait_for(350);
    put(&job, "before", &clicks(350, 50));
    job.wait_for(400);
    job.stop();
    running.wait().expect(130);
    job.assert_exactly_once(400);
}

/// An older file that is moved in is as new as any other.
#[test]
fn what_was_read_is_known_after_a_stop() {
    let job = watching("known");
    put(&job, "a", &clicks(0, 50));
    let older = fs::metadata(job.folder().join("in/a")).and_then(|a| a.modified());
    let older = older.expect("it is there") - Duration::from_secs(3600);
    let running = job.run().start();
    job.wait_for(50);
    job.stop();
    running.wait().expect(130);
    let unfinished = job.folder().write("unfinished", clicks(50, 50));
    let file = fs::File::options().append(true).open(&unfinished).expect("it was written");
    file.set_modified(older).expect("its time can be set");
    fs::rename(unfinished, job.folder().join("in/b")).expect("a rename");
    let running = job.go_on().start();
    job.wait_for(50);
    job.stop();
    running.wait().expect(130);
    job.assert_exactly_once(100);
}

#[test]
fn a_file_that_changes_after_it_was_read_is_told() {
    let job = watching("changes");
    put(&job, "a", &clicks(0, 50));
    let running = job.run().start();
    job.wait_for(50);
    put(&job, "a", &clicks(0, 60));
    put(&job, "b", &clicks(50, 10));
    job.wait_for(60);
    job.stop();
    let ended = running.wait().expect(130);
    ended.expect_story(["in/a has changed after it was read; what is new in it is not read"]);
    job.assert_exactly_once(60);
}

/// Files come all the time while the job is killed again and again.
#[test]
fn each_file_is_read_once_whatever_kills_the_job() {
    let job = watching("killed");
    let mut files = 0;
    for _ in 0..20 {
        for _ in 0..5 {
            put(&job, &format!("{}", (files * 7919) % 100), &clicks(files * 1000, 1000));
            files += 1;
        }
        job.survive_kills(1, files, |call| call);
    }
    let running = job.go_on().start();
    // Its predecessors may have left nothing to do.
    job.wait_for(0);
    // What is left is read when the output has all of it.
    wait_until("all files are read", Duration::from_secs(60), || {
        job.output()
            .values()
            .map(|text| text.iter().filter(|b| **b == b'\n').count())
            .sum::<usize>()
            >= 100_000
    });
    job.stop();
    running.wait().expect(130);
    let lines = job.output().into_values().flatten().filter(|byte| *byte == b'\n').count();
    assert_eq!(lines, 100_000);
    job.assert_exactly_once(100_000);
}

#[test]
fn what_cannot_be_watched_is_refused() {
    let job = watching("refused");
    let file = job.folder().write("clicks.csv", clicks(0, 1));
    let check = |key: &str, value: &str| {
        Tidegate::check_job(&job.folder().join("job.toml")).set(key, value).run()
    };
    let ended = check("source.in.path", &file.display().to_string()).expect(1);
    ended.expect_story(["asks to watch", "clicks.csv, which is a file", "watch the folder"]);
    check("source.in.watch", "0s").expect(1).expect_story(["a duration above zero"]);
    let job = Counted::new("empty", &SOURCE.replace("watch", "wach"), Counted::file_sink(), "");
    fs::create_dir_all(job.folder().join("in")).expect("it is new");
    let ended = Tidegate::check_job(&job.folder().join("job.toml")).run().expect(1);
    ended.expect_story(["unknown key `wach` in `source.in`", "did you mean `watch`?"]);
}
