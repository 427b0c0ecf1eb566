//! The job of the manual is one that `check` takes, and the example does what its README says.

use tidegate_tests::binary::{component, repository};
use tidegate_tests::servers::kafka::Record;
use tidegate_tests::{Folder, Tidegate, data};

use super::shared;

#[test]
fn the_job_of_the_manual_is_one() {
    let page = repository().join("docs/connectors/kafka.md");
    let page = std::fs::read_to_string(page).expect("it is in the repository");
    let job = page.split("<!-- file: job.toml -->\n```toml\n").nth(1).expect("it shows a job");
    let job = job.split("```").next().expect("it ends");
    let folder = Folder::new("manual");
    let path = folder.write("job.toml", job);
    std::fs::copy(component("count"), folder.join("count.wasm")).expect("it can be copied");
    Tidegate::check_job(&path).run().expect(0).expect_story(Vec::<&str>::new());
    let plan = Tidegate::check_job(&path).run().expect(0).stdout;
    for line in [
        "source clicks: csv from clicks of Kafka at localhost:9092; event time of the record, \
         watermark 1s behind, idle after 30s",
        "sink out: counts of Kafka at localhost:9092, exactly-once",
    ] {
        assert!(plan.contains(line), "{line:?} is not in\n{plan}");
    }
}

#[test]
fn the_example_runs_from_topic_to_topic() {
    let Some(broker) = shared() else { return };
    broker.create_topic("sensors", 2);
    broker.create_topic("alerts", 2);
    let folder = Folder::new("kafka-offsets");
    let example = repository().join("examples/kafka-offsets");
    let run = |file: &str, node: &str| {
        let run = Tidegate::run_job(&example.join(file)).in_folder(folder.path());
        run.env("XDG_RUNTIME_DIR", folder.path()).set(&format!("{node}.brokers"), broker.address())
    };
    run("feed.toml", "sink.sensors").run().expect(0).expect_story(["611 in"]);
    let storage = format!("file://{}", folder.join("checkpoints").display());
    let job = || {
        let run = run("job.toml", "source.sensors").set("sink.out.brokers", broker.address());
        run.set("checkpoint.storage", &storage).set("checkpoint.interval", "100ms")
    };
    let expected: Vec<String> = data::lines(&example.join("expected.txt"));
    let running = job().start();
    broker.committed("alerts", expected.len());
    running.signal("KILL");
    assert_eq!(running.wait().status, None);
    job().arg("--restore").arg("latest").set("source.sensors.until", "latest").run().expect(0);
    let found = broker.read_committed("alerts");
    let keys = |line: &str| line.split(',').next().map(str::to_owned);
    for Record { key, value, .. } in &found {
        assert_eq!(*key, value.as_deref().and_then(keys));
    }
    let show = run("show.toml", "source.alerts").run().expect(0).stdout;
    // Lines of one key stand in their order; those of different keys may change places.
    for key in expected.iter().filter_map(|line| keys(line)) {
        let of_key = |lines: &mut dyn Iterator<Item = &str>| -> Vec<String> {
            lines.filter(|line| keys(line).as_ref() == Some(&key)).map(str::to_owned).collect()
        };
        let expected = of_key(&mut expected.iter().map(String::as_str));
        assert_eq!(of_key(&mut show.lines()), expected, "{key}");
    }
    assert_eq!(show.lines().count(), expected.len());
}
