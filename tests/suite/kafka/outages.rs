//! A broker that is not there, goes away, comes back, or is slow: the job says so, keeps trying or
//! fails as configured, and loses nothing.

use std::time::Duration;

use tidegate_tests::servers::kafka::{Broker, Record};

use super::Job;

fn values(records: Vec<Record>) -> Vec<String> {
    records.into_iter().filter_map(|record| record.value).collect()
}

fn numbers(range: std::ops::Range<i64>) -> Vec<Record> {
    range.map(|n| Record::at(0, n + 1, n.to_string())).collect()
}

#[test]
fn outages_lose_nothing() {
    let Some(mut broker) = Broker::prepare() else { return };
    let expected = |count: i64| -> Vec<String> { (0..count).map(|n| n.to_string()).collect() };

    // Down, and for longer than the job waits.
    let job = Job::new("outages", &broker.address(), "in").endless().checkpoints("");
    let job = job.into_kafka(&broker.address(), "out", "timeout = \"3s\"");
    let ended = job.run().set("source.in.timeout", "3s").run().expect(4);
    ended.expect_story(["cannot reach Kafka at", "trying again", "look at the brokers"]);

    // Down at the start, and back in time.
    let job = job.into_kafka(&broker.address(), "out", "");
    let running = job.run().start();
    broker.run();
    broker.create_topic("in", 1);
    broker.create_topic("out", 1);
    broker.produce("in", &numbers(0..100));
    broker.committed("out", 100);

    // Gone while the job runs, and back.
    broker.kill();
    broker.run();
    broker.produce("in", &numbers(100..200));
    broker.committed("out", 200);

    // It does nothing for a while.
    broker.pause();
    std::thread::park_timeout(Duration::from_secs(3));
    broker.go_on();
    broker.produce("in", &numbers(200..300));
    assert_eq!(values(broker.committed("out", 300)), expected(300));
    job.cancel();
    running.wait().expect(130).expect_story(["cannot reach Kafka at"]);

    // Gone for longer than the job waits: it fails, restarts as configured, and goes on. Its
    // records come from elsewhere, so that there are some to be written meanwhile.
    broker.create_topic("made", 1);
    let made = Job::new("made", &broker.address(), "in");
    let run = |job: &Job| {
        let run = job.run().set("source.in.connector", "generator").set("source.in.count", 3000);
        let run = run.set("source.in.shape", "clicks").set("source.in.format", "csv");
        run.set("source.in.keys", 10)
    };
    run(&made).run().expect(0);
    let expected = made.lines();
    let made = made
        .into_kafka(&broker.address(), "made", "timeout = \"1s\"")
        .checkpoints("[restart]\nstrategy = \"fixed-delay\"\nattempts = 100\ndelay = \"200ms\"");
    let running = run(&made).set("source.in.rate", 500).start();
    made.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(3));
    broker.kill();
    made.wait(|status| status["restarts"].as_u64() >= Some(1));
    broker.run();
    running.wait().expect(0).expect_story(["the job restarts in"]);
    let mut found = values(broker.read_committed("made"));
    found.sort();
    assert_eq!(found, expected);
}
