//! A real S3 server: checkpoints, input and output in its bucket, with a server that is not there
//! yet, goes away, takes its time, or lets nobody in. Where there is no such server the tests are
//! skipped with a line that says so, but not in CI.

use std::io::Write;
use std::time::Duration;

use tidegate_tests::counted::{Counted, assert_exactly_once, clicks};
use tidegate_tests::servers::s3::S3;
use tidegate_tests::servers::wait_until;

/// Keys of a source that reads objects.
const SOURCE: &str = "connector = \"file\"\npath = \"s3://data/in\"\nformat = \"csv\"\n\
                      timestamp = { field = 2 }\nretry_max_delay = \"200ms\"\n";

/// Keys of a sink that writes objects.
const SINK: &str = "connector = \"file\"\npath = \"s3://data/out\"\n";

/// Checkpoints in the bucket that come fast.
const CHECKPOINTS: &str = "[checkpoint]\nstorage = \"s3://data/checkpoints\"\ninterval = \"100ms\"\n\
                           [restart]\nstrategy = \"none\"\n";

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("memory takes it")
}

/// Puts objects of 50,000 records each into the bucket, every other one packed.
fn put_input(s3: &S3, objects: u64) {
    for number in 0..objects {
        let text = clicks(number * 50_000, 50_000);
        match number % 2 {
            0 => s3.put(&format!("in/{number:03}.csv"), text),
            _ => s3.put(&format!("in/{number:03}.csv.gz"), gzip(&text)),
        }
    }
}

fn lines_of_output(s3: &S3) -> usize {
    let visible = s3.objects("out").into_iter();
    let visible = visible.filter(|(path, _)| !path.to_string_lossy().starts_with('.'));
    visible.map(|(_, text)| text.iter().filter(|byte| **byte == b'\n').count()).sum()
}

#[test]
fn input_output_and_checkpoints_survive_kills() {
    let Some(s3) = S3::start() else { return };
    put_input(&s3, 20);
    s3.put("in/deeper/a.csv", "user1,not read,0\n");
    s3.put("in/.hidden", "user1,not read,0\n");
    let job = Counted::new("s3", SOURCE, SINK, CHECKPOINTS);
    job.survive_kills(15, 3, |call| s3.env(call));
    s3.env(job.go_on()).run().expect(0);
    assert_exactly_once(s3.objects("out"), 1_000_000);
    let left = s3.objects("out").into_keys().find(|path| path.to_string_lossy().starts_with('.'));
    assert_eq!(left, None, "what was hidden is gone");
    // It has finished: there is nothing to go on with.
    let again = s3.env(job.go_on()).run().expect(0);
    again.expect_story(["the job has finished before"]);
    // Anew, to fewer and larger objects; those that are there give way.
    let anew = s3.env(job.run()).arg("--restore").arg("none").set("checkpoint.interval", "10m");
    let ended = anew.run().expect(0);
    ended.expect_story(["s3://data/out holds the output of an earlier run, which gives way"]);
    assert_exactly_once(s3.objects("out"), 1_000_000);
}

#[test]
fn one_object_is_a_source_and_folders_are_a_sink() {
    let Some(s3) = S3::start() else { return };
    s3.put("in/clicks.csv", format!("user,url,time\n{}", clicks(0, 5000)));
    let sink = format!("{SINK}partition_by = \"%Y-%m-%d\"\n");
    let job = Counted::new("one", &SOURCE.replace("/in", "/in/clicks.csv"), &sink, "");
    let run = || s3.env(job.run()).set("source.in.header", "true");
    run().run().expect(0).expect_story(["5,000 in"]);
    let output = s3.objects("out");
    let folders: Vec<String> = output
        .keys()
        .filter_map(|path| Some(path.parent()?.to_string_lossy().into_owned()))
        .collect();
    assert!(folders.contains(&"1970-01-01".into()) && folders.contains(&"1970-01-04".into()));
    assert_eq!(lines_of_output(&s3), 5000);
    // A second run replaces it, and is refused if it must not.
    run().run().expect(0).expect_story(["s3://data/out holds the output of an earlier run"]);
    assert_eq!(s3.objects("out"), output);
    run().set("sink.out.on_existing", "refuse").run().expect(1);
}

#[test]
fn objects_that_appear_are_read() {
    let Some(s3) = S3::start() else { return };
    let source = format!("{SOURCE}watch = \"50ms\"\n");
    let job = Counted::new("appear", &source, SINK, CHECKPOINTS);
    s3.put("in/a.csv", clicks(0, 100));
    let running = s3.env(job.run()).start();
    job.wait_for(100);
    s3.put("in/b.csv.gz", gzip(&clicks(100, 100)));
    job.wait_for(200);
    job.stop();
    running.wait().expect(130);
    s3.put("in/0.csv", clicks(200, 100));
    let running = s3.env(job.go_on()).start();
    job.wait_for(100);
    job.stop();
    running.wait().expect(130);
    assert_exactly_once(s3.objects("out"), 300);
}

/// Only the input is in the bucket, so that it is the source that has to wait.
#[test]
fn a_source_waits_for_a_server_that_is_not_there() {
    let Some(mut s3) = S3::stopped() else { return };
    put_input(&s3, 4);
    let job = Counted::new("waits", SOURCE, Counted::file_sink(), Counted::checkpoints());
    let running = s3.env(job.run()).start();
    job.wait(|status| status["state"] == "running");
    s3.start_again();
    let ended = running.wait().expect(0);
    ended.expect_story([
        "s3://data/in: cannot list it: ",
        "trying again in 100ms",
        "s3://data/in: it answers, after ",
    ]);
    job.assert_exactly_once(200_000);
    // One that never comes is given up, as `retry_for` says.
    s3.kill();
    let job = Counted::new("given-up", SOURCE, Counted::file_sink(), "");
    let ended = s3.env(job.run()).set("source.in.retry_for", "300ms").run().expect(4);
    ended.expect_story(["cannot list s3://data/in", "trying again in"]);
}

/// The server goes away while the job reads; it says so, and goes on where it was.
#[test]
fn a_source_outlives_its_server() {
    let Some(mut s3) = S3::start() else { return };
    put_input(&s3, 40);
    let job = Counted::new("outlives", SOURCE, Counted::file_sink(), Counted::checkpoints());
    let running = s3.env(job.run()).start();
    for records in [100_000, 600_000, 1_200_000] {
        job.wait_for(records);
        s3.kill();
        s3.start_again();
    }
    running.wait().expect(0).expect_story(["trying again in", "it answers, after "]);
    job.assert_exactly_once(2_000_000);
}

/// The server that has everything goes away: the job fails and restarts as it was told, and goes on
/// from its newest checkpoint once it is back.
#[test]
fn a_job_outlives_the_server_of_its_checkpoints_and_output() {
    let Some(mut s3) = S3::start() else { return };
    let generator = "connector = \"generator\"\nshape = \"clicks\"\ncount = 60000\nkeys = 500\n\
                     rate = 20000\ntimestamp = { field = 2 }\n";
    let restart = CHECKPOINTS.replace(
        "strategy = \"none\"",
        "strategy = \"fixed-delay\"\nattempts = 1000\ndelay = \"50ms\"",
    );
    let job = Counted::new("all", generator, SINK, &restart);
    let running = s3.env(job.run()).start();
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(3));
    // It only takes its time: nothing fails.
    s3.halt();
    wait_until("it has been silent", Duration::from_secs(10), {
        let mut looks = 0;
        move || {
            looks += 1;
            looks > 50
        }
    });
    s3.go_on();
    let before = job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(6));
    assert_eq!(before["restarts"], 0);
    s3.kill();
    s3.start_again();
    running.wait().expect(0);
    assert_exactly_once(s3.objects("out"), 60_000);
}

#[test]
fn a_server_that_lets_nobody_in_is_told() {
    let Some(s3) = S3::start() else { return };
    put_input(&s3, 1);
    let wrong = |job: &Counted| s3.env(job.run()).env("AWS_SECRET_ACCESS_KEY", "wrong");
    let source = Counted::new("source", SOURCE, Counted::file_sink(), "");
    let ended = wrong(&source).run().expect(4);
    ended.expect_story(["cannot list s3://data/in", "SignatureDoesNotMatch"]);
    let generator = "connector = \"generator\"\nshape = \"clicks\"\ncount = 10\n";
    let sink = Counted::new("sink", generator, SINK, "");
    wrong(&sink).run().expect(4).expect_story(["s3://data/out", "SignatureDoesNotMatch"]);
    let checkpoints = Counted::new("storage", generator, SINK, CHECKPOINTS);
    let ended = wrong(&checkpoints).run().expect(4);
    ended.expect_story(["s3://data/checkpoints", "SignatureDoesNotMatch"]);
    let nowhere = Counted::new("nowhere", &SOURCE.replace("data", "no-such"), SINK, "");
    let ended = s3.env(nowhere.run()).run().expect(4);
    ended.expect_story(["cannot list s3://no-such/in", "NoSuchBucket"]);
    let empty = Counted::new("empty", &SOURCE.replace("/in", "/empty"), Counted::file_sink(), "");
    s3.env(empty.run()).run().expect(1).expect_story(["s3://data/empty holds no files"]);
}
