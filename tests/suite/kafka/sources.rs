//! Where a Kafka source begins and goes on, what its records are, and what its time is.

use tidegate_tests::servers::kafka::{Record, until};

use super::{Job, shared};

#[test]
fn begins_where_it_is_told() {
    let Some(broker) = shared() else { return };
    broker.create_topic("starts", 2);
    let records = (0..10).map(|n| Record::at(n % 2, 1000 + i64::from(n), n.to_string()));
    broker.produce("starts", &records.collect::<Vec<_>>());
    for (start, expected) in [
        ("", "0123456789"),
        ("start = \"earliest\"", "0123456789"),
        ("start = \"latest\"", ""),
        ("start = { timestamp = 1004 }", "456789"),
        ("start = { timestamp = 9999 }", ""),
        ("start = { offsets = { \"starts[0]\" = 3, \"starts[1]\" = 4 } }", "689"),
        ("start = { offsets = { \"starts[1]\" = 5 } }", "02468"),
    ] {
        let job = Job::new("starts", &broker.address(), "starts").source(start);
        job.run().run().expect(0);
        assert_eq!(job.lines().concat(), expected, "{start}");
    }
    let job = Job::new("starts", &broker.address(), "starts")
        .source("timeout = \"1s\"\nstart = { offsets = { \"starts[0]\" = 99 } }");
    job.run().run().expect(1).expect_story(["offset 99 of starts[0], which has 0 up to 5 only"]);
}

#[test]
fn offsets_are_in_the_checkpoint_and_the_group_is_told() {
    let Some(broker) = shared() else { return };
    broker.create_topic("offsets", 3);
    let records = |range: std::ops::Range<i32>| -> Vec<Record> {
        range.map(|n| Record::at(n % 3, i64::from(n) + 1, n.to_string())).collect()
    };
    broker.produce("offsets", &records(0..100));
    let job = Job::new("offsets", &broker.address(), "offsets").endless();
    let job = job.source("group = \"watched\"").checkpoints("");
    let running = job.run().start();
    job.wait_for_records(100);
    let completed =
        job.wait(|status| super::records_in(status, "in") == 100)["checkpoints"].clone();
    let completed = completed["completed"].as_u64().expect("it takes checkpoints");
    // The first that began after the last record.
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(completed + 2));
    job.cancel();
    running.wait().expect(130);
    let newest = job.ask(&["checkpoints", "list", "checkpoints"]).run().expect(0).stdout;
    let newest = newest.split_whitespace().rfind(|word| word.starts_with("chk-"));
    let folder = format!("checkpoints/{}", newest.expect("there are checkpoints"));
    let listed = job.ask(&["state", "list", &folder]).run().expect(0).stdout;
    let expected = "in: 3 splits, offsets (source)\n  offsets[0] at 34\n  offsets[1] at 33\n  \
                    offsets[2] at 33\n";
    assert_eq!(listed, expected);
    until("the group's offsets", || {
        let found = broker.group_offsets("watched", "offsets", 3);
        (found == [Some(34), Some(33), Some(33)]).then_some(())
    });
    // It goes on from its own checkpoint.
    broker.produce("offsets", &records(100..110));
    let job = job.source("until = \"latest\"");
    job.run().arg("--restore").arg("latest").run().expect(0).expect_story(["10 in"]);
    let mut expected: Vec<String> = (0..110).map(|n| n.to_string()).collect();
    expected.sort();
    assert_eq!(job.lines(), expected);
}

#[test]
fn new_partitions_are_found() {
    let Some(broker) = shared() else { return };
    broker.create_topic("grows", 1);
    broker.produce("grows", &[Record::at(0, 1, "before")]);
    let job = Job::new("grows", &broker.address(), "grows").endless();
    let job = job.source("start = \"latest\"\ndiscovery_interval = \"100ms\"").checkpoints("");
    let running = job.run().start();
    // It stands behind the first record once it has begun.
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(3));
    broker.add_partitions("grows", 3);
    broker.produce("grows", &[Record::at(2, 1, "new"), Record::at(0, 1, "old")]);
    job.wait_for_records(2);
    job.ask(&["stop", &job.name]).run().expect(0);
    running.wait().expect(130);
    assert_eq!(job.lines(), ["new", "old"]);
    // A restore knows them too.
    broker.produce("grows", &[Record::at(1, 1, "later")]);
    let job = job.source("until = \"latest\"");
    job.run().arg("--restore").arg("latest").run().expect(0);
    assert_eq!(job.lines(), ["later", "new", "old"]);
}

/// One partition is far ahead of the other: with one watermark for both its records would make
/// those of the other late.
#[test]
fn each_partition_has_a_watermark_of_its_own() {
    let Some(broker) = shared() else { return };
    broker.create_topic("times", 2);
    let ahead = (0..3000).map(|n| Record::at(0, 1_000_000 + n, format!("a{n}")));
    let behind = (0..3000).map(|n| Record::at(1, 1 + n, format!("b{n}")));
    broker.produce("times", &ahead.chain(behind).collect::<Vec<_>>());
    let job = Job::new("times", &broker.address(), "times").operator("stamp", "");
    job.run().run().expect(0);
    let lines = job.lines();
    assert_eq!(lines.len(), 6000);
    // The record's own time is the event time.
    assert!(lines.contains(&"b7,8".to_owned()) && lines.contains(&"a0,1000000".to_owned()));
}

/// A partition that gives nothing holds time back until it counts as idle.
#[test]
fn a_partition_without_records_becomes_idle() {
    let Some(broker) = shared() else { return };
    broker.create_topic("idle", 2);
    let records = (0..30).map(|n| Record::at(0, 1000 * (n + 1), format!("u,/,{}", 1000 * (n + 1))));
    broker.produce("idle", &records.collect::<Vec<_>>());
    let job = Job::new("idle", &broker.address(), "idle").endless();
    let job = job
        .source("format = \"csv\"\nwatermark = { idle_after = \"300ms\" }")
        .operator("periodic-pv", ", partition = { key = 0 }");
    let running = job.run().start();
    // The count goes out only if time passes: once, if all records came before the idleness.
    job.wait_for_records(1);
    job.cancel();
    running.wait().expect(130);
}

#[test]
fn a_topic_that_is_not_there_is_said() {
    let Some(broker) = shared() else { return };
    let job = Job::new("missing", &broker.address(), "missing").source("timeout = \"1s\"");
    job.run().run().expect(1).expect_story([
        "Kafka has no topic \"missing\"; trying again",
        "make the topic, or look at `topics`",
    ]);
}
