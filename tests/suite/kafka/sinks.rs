//! What a Kafka sink makes of records, with and without checkpoints, and that only one process
//! writes for a job.

use tidegate_tests::servers::kafka::{PASSWORD, Record};

use super::{Job, shared};

#[test]
fn keys_headers_and_timestamps_pass_through() {
    let Some(broker) = shared() else { return };
    broker.create_topic("whole-in", 1);
    broker.create_topic("whole-out", 1);
    let headers = vec![("trace".to_owned(), Some("1".to_owned())), ("none".to_owned(), None)];
    let value = |value: Option<&str>| value.map(str::to_owned);
    let record = |offset, key, of, headers| Record {
        partition: 0,
        offset,
        timestamp: Some(5000 + offset),
        key: value(key),
        value: value(of),
        headers,
    };
    let records = [
        record(0, Some("k"), Some("a\n\"b\""), headers),
        record(1, None, Some(""), Vec::new()),
        record(2, Some("gone"), None, Vec::new()),
    ];
    broker.produce("whole-in", &records);
    for checkpoints in [false, true] {
        let job = Job::new("whole", &broker.address(), "whole-in")
            .source("format = \"json\"\nenvelope = true")
            .into_kafka(&broker.address(), "whole-out", "envelope = true");
        let job = if checkpoints { job.checkpoints("") } else { job };
        job.run().run().expect(0);
    }
    let found = broker.committed("whole-out", 6);
    let without_offset = |record: &Record| Record { offset: 0, ..record.clone() };
    let expected: Vec<Record> = records.iter().chain(&records).map(without_offset).collect();
    assert_eq!(found.iter().map(without_offset).collect::<Vec<_>>(), expected);
}

#[test]
fn a_field_is_the_key_and_event_time_is_the_timestamp() {
    let Some(broker) = shared() else { return };
    broker.create_topic("keyed-in", 1);
    broker.create_topic("keyed-out", 2);
    let records = (1..=20).map(|n| Record::at(0, n, format!("user_{},x", n % 4)));
    broker.produce("keyed-in", &records.collect::<Vec<_>>());
    let job = Job::new("keyed", &broker.address(), "keyed-in")
        .source("format = \"csv\"")
        .into_kafka(&broker.address(), "keyed-out", "key = 0")
        .checkpoints("mode = \"at-least-once\"");
    job.run().run().expect(0);
    let found = broker.committed("keyed-out", 20);
    assert_eq!(found.len(), 20);
    for record in found {
        let time = record.timestamp.expect("it has one");
        let key = format!("user_{}", time % 4);
        assert_eq!(record.value, Some(format!("{key},x")));
        assert_eq!(record.key, Some(key));
    }
}

#[test]
fn records_without_their_key_are_refused_before_anything_holds_on_to_them() {
    let Some(broker) = shared() else { return };
    broker.create_topic("unfit-in", 1);
    broker.create_topic("unfit-out", 1);
    broker.produce("unfit-in", &[Record::at(0, 1, "a,b"), Record::at(0, 1, "only")]);
    let job = Job::new("unfit", &broker.address(), "unfit-in")
        .source("format = \"csv\"")
        .into_kafka(&broker.address(), "unfit-out", "key = 1")
        .checkpoints("");
    job.run().run().expect(1).expect_story([
        "cannot write the record \"only\" to \"unfit-out\": it has 1 field",
        "it came from unfit-in[0]:1",
    ]);
    assert!(broker.read_committed("unfit-out").is_empty());
}

/// A process that is taken for dead and is not must not add to what its successor writes.
#[test]
fn a_process_that_comes_back_is_fenced() {
    let Some(broker) = shared() else { return };
    broker.create_topic("fence-in", 1);
    broker.create_topic("fence-out", 1);
    let produce = |range: std::ops::Range<i64>| {
        let records: Vec<Record> = range.map(|n| Record::at(0, n + 1, n.to_string())).collect();
        broker.produce("fence-in", &records);
    };
    produce(0..100);
    let job = Job::new("fence", &broker.address(), "fence-in").endless().checkpoints("");
    let job = job.into_kafka(&broker.address(), "fence-out", "");
    let first = job.run().start();
    broker.committed("fence-out", 100);
    first.signal("STOP");
    produce(100..200);
    // Another machine does not see the first one's socket.
    let elsewhere = job.folder.join("elsewhere");
    std::fs::create_dir(&elsewhere).expect("it can be made");
    let second =
        job.run().arg("--restore").arg("latest").env("XDG_RUNTIME_DIR", &elsewhere).start();
    broker.committed("fence-out", 200);
    first.signal("CONT");
    produce(200..300);
    first.wait().expect(1).expect_story(["another process writes to Kafka as"]);
    broker.committed("fence-out", 300);
    second.interrupt();
    second.wait().expect(130);
    let found = broker.read_committed("fence-out").into_iter().map(|record| record.value);
    let expected: Vec<Option<String>> = (0..300).map(|n| Some(n.to_string())).collect();
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

/// Settings of TLS and SASL pass through to librdkafka, and a password is nowhere but in the
/// environment.
#[test]
fn a_password_comes_from_the_environment_and_a_wrong_one_is_said() {
    let Some(broker) = shared() else { return };
    broker.create_topic("secret", 1);
    broker.produce("secret", &[Record::at(0, 1, "a")]);
    let properties = format!(
        "properties = {{ security.protocol = \"SASL_SSL\", ssl.ca.location = {:?}, \
         sasl.mechanism = \"PLAIN\", sasl.username = \"tidegate\", \
         sasl.password = \"${{TEST_SECRET}}\", broker.address.family = \"v4\" }}",
        broker.certificate()
    );
    let address = broker.address_with_password();
    let job = Job::new("secret", &address, "secret").source(&properties).checkpoints("");
    job.run().env("TEST_SECRET", PASSWORD).run().expect(0);
    assert_eq!(job.lines(), ["a"]);
    let ended = job.run().env("TEST_SECRET", "wr0ng").run().expect(1);
    let ended = ended.expect_story([&format!("Kafka at {address} refuses:"), "user, password"]);
    assert!(!ended.stderr.contains("wr0ng"), "{}", ended.stderr);
    job.run().run().expect(1).expect_story(["${TEST_SECRET}, which is not set"]);
    // The sink is refused likewise.
    let job = Job::new("secret-out", &broker.address(), "secret").checkpoints("");
    let job = job.into_kafka(&address, "secret", &properties);
    let ended = job.run().env("TEST_SECRET", "wr0ng").run().expect(1);
    ended.expect_story([&format!("Kafka at {address} refuses:"), "user, password"]);
    // Without the certificate nobody is believed to be the broker.
    let job = job.into_kafka(&address, "secret", "properties = { security.protocol = \"SSL\" }");
    let run = job.run().set("sink.out.timeout", "2s");
    run.run().expect(4).expect_story(["certificate verify failed"]);
}
