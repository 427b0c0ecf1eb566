//! SIGKILL of the host at 50 random moments and of the broker at 10 of them: a consumer that reads
//! what is committed sees the output of a plain fold over the input, each record once, in the order
//! of its key.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tidegate_tests::random::Random;
use tidegate_tests::servers::kafka::{Broker, Record};

use super::Job;

const KILLS: u32 = 50;

/// Every so manyth time the broker is killed too.
const BROKER_KILLED_EVERY: u32 = 5;

/// Records while all that goes on, and their keys.
const RECORDS_MAX: u64 = 1_000_000;
const KEYS: u64 = 200;

/// So many records are sent, then it is waited this long.
const FEED_RECORDS: u64 = 20;
const FEED_PAUSE: Duration = Duration::from_millis(5);

/// Sends records until it is told to stop, over all restarts of the broker. Returns how many.
fn feed(producer: &BaseProducer, seed: u64, stop: &AtomicBool) -> BTreeMap<String, u64> {
    let mut random = Random::new(seed);
    let mut sent = BTreeMap::new();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) && count < RECORDS_MAX {
        for _ in 0..FEED_RECORDS {
            let key = format!("user_{}", random.number() % KEYS);
            let of_key: &mut u64 = sent.entry(key.clone()).or_default();
            *of_key += 1;
            let value = format!("{key},{of_key}");
            let mut message = BaseRecord::to("in").key(&key).payload(&value);
            while let Err((error, again)) = producer.send(message) {
                assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull));
                producer.poll(FEED_PAUSE);
                message = again;
            }
            count += 1;
        }
        producer.poll(FEED_PAUSE);
    }
    producer.flush(Duration::from_secs(60)).expect("the broker is back");
    sent
}

/// Holds the output against the fold: for each key 1, 2, 3, … as often as it was sent.
fn check(records: &[Record], sent: &BTreeMap<String, u64>) {
    let mut counts: BTreeMap<&str, (u64, i32)> = BTreeMap::new();
    for record in records {
        let value = record.value.as_deref().expect("each has a value");
        let (key, count) = value.rsplit_once(',').expect("key,count");
        assert_eq!(record.key.as_deref(), Some(key));
        let (before, partition) = counts.entry(key).or_insert((0, record.partition));
        *before += 1;
        assert_eq!(count, before.to_string(), "{key} at offset {}", record.offset);
        assert_eq!(*partition, record.partition, "{key} is in two partitions");
    }
    let counts: BTreeMap<String, u64> =
        counts.into_iter().map(|(key, (count, _))| (key.to_owned(), count)).collect();
    assert_eq!(&counts, sent);
}

#[test]
fn kills_of_host_and_broker_lose_nothing_and_double_nothing() {
    let Some(mut broker) = Broker::start() else { return };
    broker.create_topic("in", 4);
    broker.create_topic("out", 3);
    let job = Job::new("kafka-kills", &broker.address(), "in")
        .endless()
        .source("format = \"csv\"\nmalformed = \"fail\"")
        .operator("count", ", partition = { key = 0 }")
        .into_kafka(&broker.address(), "out", "key = 0")
        .checkpoints("[restart]\nstrategy = \"none\"");
    let mut random = Random::new(21);
    let stop = AtomicBool::new(false);
    let producer = broker.producer();
    let sent = thread::scope(|scope| {
        let feeding = scope.spawn(|| feed(&producer, 5, &stop));
        for turn in 0..KILLS {
            let parallelism = [2, 3, 1][turn as usize % 3];
            let run = job.run().arg("--restore").arg("latest").set("job.parallelism", parallelism);
            let running = run.start();
            let wait = |random: &mut Random, most| {
                thread::park_timeout(Duration::from_millis(random.between(1, most) as u64));
            };
            if turn % BROKER_KILLED_EVERY == 0 {
                wait(&mut random, 700);
                broker.kill();
                wait(&mut random, 300);
                broker.run();
            }
            running.kill_after(Duration::from_millis(random.between(1, 1200) as u64));
        }
        stop.store(true, Ordering::Relaxed);
        feeding.join().expect("it does not panic")
    });
    let job = job.source("until = \"latest\"");
    job.run().arg("--restore").arg("latest").run().expect(0);
    let total: u64 = sent.values().sum();
    let records = broker.read_committed("out");
    assert_eq!(records.len() as u64, total);
    check(&records, &sent);
    eprintln!("{total} records, {KILLS} kills of the host, each once");
}
