//! The time to live of state that is there already is switched on, moved to another clock and
//! switched off between runs. Nothing is lost that has not expired.

use tidegate_tests::Tidegate;
use tidegate_tests::counting::{Counting, NAME};

/// Runs from the newest checkpoint until there are two more, with settings, and cancels.
fn run_a_while(job: &Counting, backend: &str, set: &dyn Fn(Tidegate) -> Tidegate) {
    let run = job.run().arg("--restore").arg("latest").set("state.backend", backend);
    let running = set(run).start();
    job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(2));
    job.ask(&["cancel", NAME]).run().expect(0);
    running.wait().expect(130);
}

fn with_ttl(domain: &'static str) -> impl Fn(Tidegate) -> Tidegate {
    move |run| {
        run.set("operator.count.ttl.count.time", "1h")
            .set("operator.count.ttl.count.domain", domain)
            .set("source.in.timestamp.field", 2)
    }
}

fn is_switched(backend: &str, other: &str) {
    let job = Counting::new("ttl");
    run_a_while(&job, backend, &|run| run);
    run_a_while(&job, backend, &with_ttl("processing"));
    run_a_while(&job, other, &with_ttl("processing"));
    let newest = *job.checkpoints().last().expect("there are some");
    let exported = job.ask(&["state", "export", &format!("checkpoints/chk-{newest}")]);
    let exported = exported.run().expect(0).stdout;
    let value = exported.lines().next().and_then(|line| line.split("\"value\":").nth(1));
    assert!(value.is_some_and(|value| value.len() < 20), "no access time is shown: {value:?}");
    run_a_while(&job, other, &with_ttl("event"));
    run_a_while(&job, backend, &|run| run.set("operator.count.ttl.count", "none"));
    job.finish("latest");
}

#[test]
fn it_is_switched_on_and_off_on_hashmap_and_rocksdb() {
    is_switched("hashmap", "rocksdb");
}

#[test]
fn it_is_switched_on_and_off_on_rocksdb_and_hashmap() {
    is_switched("rocksdb", "hashmap");
}

/// With a life of 1 ms in event time, where records are 1 ms apart, next to nothing is left.
#[test]
fn what_has_expired_is_not_counted_on() {
    for backend in ["hashmap", "rocksdb"] {
        let job = Counting::new("expired");
        let run = job.run().set("state.backend", backend).set("source.in.rate", 1_000_000);
        let run = run.set("operator.count.ttl.count.time", "1ms");
        let run = run.set("operator.count.ttl.count.domain", "event");
        run.set("source.in.timestamp.field", 2).set("source.in.step_ms", 10).run().expect(0);
        let files = tidegate_tests::counting::files_below(&job.folder().join("out")).into_values();
        let texts: Vec<String> =
            files.map(|bytes| String::from_utf8(bytes).expect("output is text")).collect();
        let mut lines = texts.iter().flat_map(|text| text.lines());
        // A record sees the watermark of the one before it, and so the count of a key only if that
        // one was of the same key.
        let most = lines.clone().filter_map(|line| line.rsplit(',').next()?.parse::<u64>().ok());
        assert!(most.max() < Some(10), "counts stay small");
        assert!(lines.any(|line| line.ends_with(",1")));
    }
}
