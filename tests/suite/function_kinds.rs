//! Each kind of function against a plain fold, through SIGKILLs at any moment: one job has an
//! operator of each kind, takes a checkpoint every few milliseconds, is killed several times and
//! goes on from the newest checkpoint. What it has committed in the end is what the fold gives.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::time::Duration;

use tidegate_tests::binary::component;
use tidegate_tests::counting;
use tidegate_tests::kinds::{self, Click, Order};
use tidegate_tests::lines::{Sink, first_field};
use tidegate_tests::oracle::{self, Line};
use tidegate_tests::random::Random;
use tidegate_tests::{Folder, Tidegate};

const NAME: &str = "kinds";

const CLICKS: usize = 40_000;
const READINGS: usize = 20_000;
const ORDERS: usize = 10_000;
const ACTIONS: usize = 10_000;
const NUMBERS: u64 = 40_000;

/// Milliseconds by which the watermark of clicks is late; some clicks are later.
const DELAY: i64 = 200;
/// Length of windows and gap of sessions, and how late clicks may come to tumbling windows.
const SIZE: i64 = 900;
const LATENESS: i64 = 100;
/// How long an order waits for its payment, in milliseconds.
const WAIT: i64 = 2_000;
/// Clicks that the sink writes at a time.
const THRESHOLD: usize = 10;

/// How often each job is killed.
const KILLS: u32 = 4;

/// What all sources bring.
struct Input {
    clicks: Vec<Click>,
    readings: Vec<(String, i64, f64)>,
    rules: Vec<(String, i64, f64)>,
    orders: Vec<Order>,
    /// The user of each action, whose product is its number.
    actions: Vec<String>,
}

/// Users with a name and an age, for actions. Actions of others wait for ever.
const KNOWN: u64 = 20;

impl Input {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut now = 1_000;
        let mut click = |_| {
            now += random.between(0, 20);
            let (user, page) = (random.between(1, 40), random.between(1, 30));
            let most = if random.once_in(10) { 500 } else { 150 };
            let time = now - random.between(0, most);
            Click { user: format!("u{user}"), page: format!("/{page}"), time }
        };
        let clicks = (0..CLICKS).map(&mut click).collect();
        let reading = |number: usize| {
            let degrees = random.between(0, 400) as f64 / 10.0;
            (format!("s{}", number % 30), (number / 30) as i64, degrees)
        };
        let readings = (0..READINGS).map(reading).collect();
        let rule = |number: i64| {
            let id = *random.choose(&["*", "s1", "s2", "s7", "s11"]);
            (id.to_owned(), number * 3, random.between(0, 300) as f64 / 10.0)
        };
        let rules = (0..200).map(rule).collect();
        let order = |number: usize| {
            let time = 10 * number as i64;
            let payment = (!random.once_in(5)).then(|| {
                let after = random.between(-3_000, 3_000);
                (random.between(1, 100) as f64 / 2.0, time + after)
            });
            let user = format!("u{}", random.between(1, 9));
            Order { id: format!("o{number}"), user, time, payment }
        };
        let orders = (0..ORDERS).map(order).collect();
        let user = |_| format!("u{}", random.between(1, KNOWN as i64 + 5));
        Self { clicks, readings, rules, orders, actions: (0..ACTIONS).map(user).collect() }
    }

    /// Writes a file for each source.
    fn write(&self, folder: &Folder) {
        let text = |lines: &mut dyn Iterator<Item = String>| -> String {
            lines.map(|line| line + "\n").collect()
        };
        let timed =
            |(id, seconds, degrees): &(String, i64, f64)| format!("{id},{seconds},{degrees}");
        let order = |one: &Order| format!("{},{},{}", one.id, one.user, one.time);
        let mut payments: Vec<(i64, String)> = Vec::new();
        for Order { id, payment, .. } in &self.orders {
            payments.extend(payment.map(|(amount, time)| (time, format!("{id},{amount},{time}"))));
        }
        payments.sort();
        let action = |(number, user): (usize, &String)| {
            format!(
                "{{\"userID\":\"{user}\",\"eventTime\":\"t\",\"eventType\":\"buy\",\
                 \"productID\":{number}}}"
            )
        };
        let known = |user: u64| format!("u{user},name {user},{}", 20 + user);
        folder.write("clicks.csv", text(&mut self.clicks.iter().map(Click::line)));
        folder.write("readings.csv", text(&mut self.readings.iter().map(timed)));
        folder.write("rules.csv", text(&mut self.rules.iter().map(timed)));
        folder.write("orders.csv", text(&mut self.orders.iter().map(order)));
        folder.write("payments.csv", text(&mut payments.into_iter().map(|(_, line)| line)));
        folder.write("actions.json", text(&mut self.actions.iter().enumerate().map(action)));
        folder.write("users.csv", text(&mut (1..=KNOWN).map(known)));
    }

    /// The lines of each operator with keys.
    fn keyed(&self) -> Vec<(&'static str, Vec<Line>)> {
        let Self { clicks, readings, rules, orders, .. } = self;
        let timed =
            |(id, seconds, degrees): &(String, i64, f64)| format!("{id},{seconds},{degrees}");
        vec![
            ("filter", kinds::distinct(clicks)),
            ("reduce", kinds::highest(clicks)),
            ("aggregate", kinds::mean(clicks)),
            ("sets", kinds::sets(clicks)),
            ("tumbling", kinds::tumbling(clicks, SIZE, LATENESS, DELAY)),
            ("sliding", kinds::sliding(clicks, SIZE, SIZE / 3, DELAY)),
            ("session", kinds::session(clicks, SIZE, DELAY)),
            ("flat-map", oracle::temp_alert(readings.iter().map(timed), 10.0)),
            ("rules", kinds::rules(readings, rules)),
            ("match", kinds::payments(orders, WAIT)),
        ]
    }
}

/// The sources: id, file and format, and where the time is.
const SOURCES: [(&str, &str, &str, &str); 7] = [
    ("clicks", "clicks.csv", "csv", "field = 2"),
    ("readings", "readings.csv", "csv", "field = 1, unit = \"s\""),
    ("rule-changes", "rules.csv", "csv", "field = 1, unit = \"s\""),
    ("orders", "orders.csv", "csv", "field = 2"),
    ("payments", "payments.csv", "csv", "field = 2"),
    ("actions", "actions.json", "json", ""),
    ("users", "users.csv", "csv", ""),
];

/// The operators: id, crate, inputs, parameters.
const OPERATORS: [(&str, &str, &str, &str); 13] = [
    ("filter", "distinct", "{ from = \"clicks\", partition = { key = 0 } }", ""),
    ("reduce", "highest", "{ from = \"clicks\", partition = { key = 0 } }", ""),
    ("aggregate", "mean", "{ from = \"clicks\", partition = { key = 0 } }", ""),
    ("sets", "sets", "{ from = \"clicks\", partition = { key = 0 } }", ""),
    (
        "tumbling",
        "panes",
        "{ from = \"clicks\", partition = { key = 0 } }",
        "kind = \"tumbling\", lateness = \"100ms\"",
    ),
    ("sliding", "panes", "{ from = \"clicks\", partition = { key = 0 } }", "kind = \"sliding\""),
    ("session", "panes", "{ from = \"clicks\", partition = { key = 0 } }", "kind = \"session\""),
    ("process", "tally", "{ from = \"clicks\", partition = \"rebalance\" }", ""),
    ("buffer", "buffering-sink", "{ from = \"clicks\", partition = \"rebalance\" }", ""),
    ("flat-map", "temp-alert-with-state", "{ from = \"readings\", partition = { key = 0 } }", ""),
    (
        "rules",
        "broadcast-rules",
        "{ from = \"readings\", partition = { key = 0 } }, { from = \"rule-changes\" }",
        "",
    ),
    (
        "match",
        "match-payments",
        "{ from = \"orders\", partition = { key = 0 } }, \
         { from = \"payments\", partition = { key = 0 } }",
        "wait = \"2s\"",
    ),
    (
        "enrich",
        "broadcast-config",
        "{ from = \"actions\", partition = \"rebalance\" }, { from = \"users\" }",
        "",
    ),
];

/// A job with an operator of each kind, each with a sink of its own. The source `alive` keeps it
/// running until a test ends it.
fn job(parallelism: u32) -> String {
    let numbers = component("number-source");
    let mut job = format!(
        "[job]\nname = \"{NAME}\"\nparallelism = {parallelism}\nmax_parallelism = 16\n\
         [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"10ms\"\n\
         [restart]\nstrategy = \"none\"\n\
         [[source]]\nid = \"alive\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
         count = 1000000\nrate = 10\n\
         [[sink]]\nid = \"nowhere\"\nconnector = \"discard\"\nfrom = \"alive\"\n\
         [[source]]\nid = \"numbers\"\nconnector = \"function\"\ncomponent = {numbers:?}\n\
         params = {{ count = {NUMBERS} }}\n"
    );
    let mut add = |text: std::fmt::Arguments<'_>| {
        job.write_fmt(text).expect("a string takes everything");
    };
    for (id, file, format, time) in SOURCES {
        let delay = if id == "clicks" { DELAY } else { 0 };
        add(format_args!(
            "[[source]]\nid = {id:?}\nconnector = \"file\"\npath = {file:?}\nformat = {format:?}\n"
        ));
        if !time.is_empty() {
            add(format_args!("timestamp = {{ {time} }}\n"));
        }
        if delay > 0 {
            add(format_args!(
                "watermark = {{ strategy = \"bounded-out-of-orderness\", delay = \"{delay}ms\" }}\n"
            ));
        }
    }
    for (id, crate_name, inputs, params) in OPERATORS {
        let component = component(crate_name);
        add(format_args!(
            "[[operator]]\nid = {id:?}\ncomponent = {component:?}\ninputs = [{inputs}]\n\
             params = {{ {params} }}\n"
        ));
    }
    for id in OPERATORS.map(|operator| operator.0).into_iter().chain(["numbers"]) {
        add(format_args!(
            "[[sink]]\nid = \"out-{id}\"\nconnector = \"file\"\nfrom = {id:?}\n\
             path = \"out-{id}/\"\n"
        ));
    }
    job
}

fn equals_the_fold(parallelism: u32, backend: &str, seed: u64) {
    let input = Input::new(seed);
    let folder = Folder::new("kinds");
    input.write(&folder);
    folder.write("job.toml", job(parallelism));
    let ask = |arguments: &[&str]| {
        let call = Tidegate::new(arguments).in_folder(folder.path());
        call.env("XDG_RUNTIME_DIR", folder.path())
    };
    let run = || ask(&["run", "job.toml", "--restore", "latest"]).set("state.backend", backend);
    let mut random = Random::new(seed);
    for _ in 0..KILLS {
        let running = run().start();
        let checkpoints = random.between(1, 4) as u64;
        counting::wait(NAME, ask, |status| {
            status["checkpoints"]["completed"].as_u64() >= Some(checkpoints)
        });
        running.kill_after(Duration::from_millis(random.between(1, 40) as u64));
    }
    run().set("source.alive.count", 1).run().expect(0);
    let parts = parallelism as usize;
    let sink = |id: &str| Sink::committed(&folder.join(format!("out-{id}")), parts);
    for (id, expected) in input.keyed() {
        assert!(expected.len() > 100, "{id} has {} lines", expected.len());
        let found = sink(id);
        assert_eq!(found.lines().count(), expected.len(), "lines of {id}");
        found.assert_equals(&expected, first_field);
    }
    assert_numbered(&sink("process"), &input.clicks);
    assert_in_batches(&sink("buffer"), &input.clicks);
    assert_enriched(&sink("enrich"), &input.actions);
    let numbers: Vec<String> = (1..=NUMBERS).map(|n| format!("{n},{}", n % 10)).collect();
    assert_eq!(Sink::committed(&folder.join("out-numbers"), 1).by_part()[0], numbers);
}

/// `PARTITION,NUMBER,CLICK`: each partition counts its own, and each click is there once, with one
/// partition in the order of the input.
fn assert_numbered(sink: &Sink, clicks: &[Click]) {
    let mut found = Vec::new();
    for (partition, lines) in sink.by_part().iter().enumerate() {
        for (number, line) in (1..).zip(lines) {
            let click = line.strip_prefix(&format!("{partition},{number},"));
            found.push(click.unwrap_or_else(|| panic!("{line:?} is not number {number}")));
        }
    }
    let mut expected: Vec<String> = clicks.iter().map(Click::line).collect();
    if sink.parts() > 1 {
        found.sort_unstable();
        expected.sort_unstable();
    }
    assert_eq!(found, expected);
}

/// Each partition writes whole batches, and each click once, but for those that wait for theirs.
fn assert_in_batches(sink: &Sink, clicks: &[Click]) {
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for click in clicks {
        *counts.entry(click.line()).or_default() += 1;
    }
    let mut written = 0;
    for lines in sink.by_part() {
        for batch in lines.chunks(THRESHOLD + 1) {
            assert_eq!(batch.len(), THRESHOLD + 1, "a batch is whole");
            assert_eq!(batch[THRESHOLD], "==========");
            for click in &batch[..THRESHOLD] {
                *counts.entry(click.clone()).or_default() -= 1;
                written += 1;
            }
        }
    }
    assert!(counts.values().all(|count| *count >= 0), "no click is written twice");
    let waiting = clicks.len() - written;
    assert!(waiting < THRESHOLD * sink.parts(), "{waiting} clicks wait");
    if let [lines] = sink.by_part() {
        let written = lines.iter().filter(|line| !line.starts_with('='));
        assert!(written.zip(clicks).all(|(line, click)| *line == click.line()), "in their order");
    }
}

/// Each action of a known user, once, whichever came first.
fn assert_enriched(sink: &Sink, actions: &[String]) {
    let is_known = |user: &str| user[1..].parse::<u64>().is_ok_and(|user| user <= KNOWN);
    let mut expected = BTreeSet::new();
    for (number, user) in actions.iter().enumerate().filter(|(_, user)| is_known(user)) {
        let id: u64 = user[1..].parse().expect("u and a number");
        expected.insert(format!("({user},t,buy,{number},name {id},{})", 20 + id));
    }
    let found: BTreeSet<String> = sink.lines().map(str::to_owned).collect();
    assert_eq!(sink.lines().count(), expected.len());
    assert_eq!(found, expected);
}

#[test]
fn with_one_partition_on_hashmap() {
    equals_the_fold(1, "hashmap", 1);
}

#[test]
fn with_one_partition_on_rocksdb() {
    equals_the_fold(1, "rocksdb", 2);
}

#[test]
fn with_three_partitions_on_hashmap() {
    equals_the_fold(3, "hashmap", 3);
}

#[test]
fn with_three_partitions_on_rocksdb() {
    equals_the_fold(3, "rocksdb", 4);
}
