//! Operator state after a restore at another parallelism and on another backend: the elements of an
//! even-split list are dealt out in turn, a union list comes whole, a broadcast map is copied. Held
//! against a plain model that follows the output of the guest `ledger`, which tells what each
//! partition does and what it began with.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_tests::binary::component;
use tidegate_tests::counting;
use tidegate_tests::lines::Committed;
use tidegate_tests::random::Random;
use tidegate_tests::{Folder, Tidegate};

const NAME: &str = "ledgers";

/// A job in a folder of its own.
struct Ledgers {
    folder: Folder,
}

impl Ledgers {
    /// Clicks at 3000 a second, and rules, one every 10 ms, for the guest `ledger`. A third source
    /// keeps the job alive when the two have ended.
    fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let (ledger, numbers) = (component("ledger"), component("number-source"));
        let job = format!(
            "[job]\nname = \"{NAME}\"\n\
             [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"25ms\"\n\
             [restart]\nstrategy = \"none\"\n\
             [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
             count = 1000000\nkeys = 100\nrate = 3000\n\
             [[source]]\nid = \"rules\"\nconnector = \"function\"\ncomponent = {numbers:?}\n\
             params = {{ every = \"10ms\", count = 1000000 }}\n\
             [[source]]\nid = \"alive\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
             count = 1000000\nrate = 1\n\
             [[operator]]\nid = \"ledger\"\ncomponent = {ledger:?}\n\
             inputs = [{{ from = \"in\", partition = \"rebalance\" }}, {{ from = \"rules\" }}]\n\
             params = {{ run = 0 }}\n\
             [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"ledger\"\npath = \"out/\"\n\
             [[sink]]\nid = \"nowhere\"\nconnector = \"discard\"\nfrom = \"alive\"\n"
        );
        folder.write("job.toml", job);
        Self { folder }
    }

    fn ask(&self, arguments: &[&str]) -> Tidegate {
        Tidegate::new(arguments)
            .in_folder(self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
    }

    /// A call of `run`, from the newest checkpoint or savepoint.
    fn run(&self, run: usize, parallelism: u32, backend: &str) -> Tidegate {
        let call = self.ask(&["run", "job.toml", "--restore", "latest"]);
        let call = call.set("operator.ledger.params.run", run).set("state.backend", backend);
        call.set("job.parallelism", parallelism)
    }

    /// Waits until the run has taken so many checkpoints.
    fn wait(&self, checkpoints: u64) {
        let ask = |arguments: &[&str]| self.ask(arguments);
        counting::wait(NAME, ask, |status| has_taken(status, checkpoints));
    }

    /// Runs until there are so many new checkpoints, and stops with a savepoint.
    fn run_a_while(&self, call: Tidegate, checkpoints: u64) {
        let running = call.start();
        self.wait(checkpoints);
        self.ask(&["stop", NAME, "--savepoint"]).run().expect(0);
        running.wait().expect(130);
    }

    fn committed(&self) -> Vec<Committed> {
        Committed::read(&self.folder.join("out"))
    }
}

fn has_taken(status: &serde_json::Value, checkpoints: u64) -> bool {
    status["checkpoints"]["completed"].as_u64() >= Some(checkpoints)
}

/// What one partition has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Partition {
    list: Vec<String>,
    raw: Vec<String>,
    own: u64,
    map: BTreeMap<u64, String>,
}

/// All partitions, as the lines of the ledgers say.
#[derive(Debug, Default)]
struct Model {
    /// The number of the run, and what its partitions have. None before the first.
    run: Option<u64>,
    partitions: Vec<Partition>,
    /// What partitions must still tell that they began with.
    beginnings: BTreeMap<usize, String>,
    /// How many beginnings were told.
    told: usize,
    /// All records so far.
    records: Vec<String>,
}

impl Model {
    /// Follows all that was committed.
    fn follow(committed: &[Committed]) -> Self {
        let mut model = Self::default();
        for Committed { partition, lines, .. } in committed {
            for line in lines {
                model.read(line, *partition);
            }
        }
        model
    }

    /// Reads `RUN PARTITION/PARALLELISM WHAT REST`.
    fn read(&mut self, line: &str, partition: usize) {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [run, place, what, rest] = words[..] else { panic!("{line:?}") };
        let (of, parallelism) = place.split_once('/').expect("PARTITION/PARALLELISM");
        assert_eq!(of, partition.to_string(), "{line:?} in part-{partition}");
        let run: u64 = run.parse().expect("a number");
        if self.run != Some(run) {
            self.begin(run, parallelism.parse().expect("a number"));
        }
        let expected = self.beginnings.remove(&partition);
        if what == "=" {
            assert_eq!(Some(rest), expected.as_deref(), "run {run}, partition {partition}");
            self.told += 1;
            return;
        }
        assert_eq!(expected, None, "run {run}: partition {partition} tells what it began with");
        let state = &mut self.partitions[partition];
        match what {
            "+" => {
                state.list.push(rest.to_owned());
                state.raw.push(rest.to_owned());
                state.own += 1;
                self.records.push(rest.to_owned());
            }
            "!" => {
                let (number, _) = rest.split_once(':').expect("number:text");
                let number: u64 = number.parse().expect("a number");
                state.map.insert(number % 5, rest.to_owned());
            }
            other => panic!("{other:?} in {line:?}"),
        }
    }

    /// Redistributes what the partitions of the run before had.
    fn begin(&mut self, run: u64, parallelism: usize) {
        let before =
            std::mem::replace(&mut self.partitions, vec![Partition::default(); parallelism]);
        self.beginnings.clear();
        if self.run.replace(run).is_none() {
            return;
        }
        assert!(before.iter().all(|one| one.map == before[0].map), "maps are alike: {before:?}");
        let totals: Vec<String> = before.iter().map(|one| one.own.to_string()).collect();
        for (index, partition) in self.partitions.iter_mut().enumerate() {
            let split = |of: fn(&Partition) -> &Vec<String>| -> Vec<String> {
                if before.len() == parallelism {
                    return of(&before[index]).clone();
                }
                let all = before.iter().flat_map(of);
                all.skip(index).step_by(parallelism).cloned().collect()
            };
            partition.list = split(|one| &one.list);
            partition.raw = split(|one| &one.raw);
            partition.map = before[0].map.clone();
            let map: Vec<&str> = partition.map.values().map(String::as_str).collect();
            let (list, raw, map) =
                (partition.list.join(" "), partition.raw.join(" "), map.join(" "));
            let beginning = format!("{list}|{raw}|{}|{map}", totals.join(" "));
            self.beginnings.insert(index, beginning);
        }
        self.partitions[0].own = before.iter().map(|one| one.own).sum();
    }

    /// Each record is in the list of one partition, once, and counted once.
    fn assert_complete(&self) {
        let mut kept: Vec<&String> = self.partitions.iter().flat_map(|one| &one.list).collect();
        let mut records: Vec<&String> = self.records.iter().collect();
        kept.sort();
        records.sort();
        assert_eq!(kept, records);
        let counted: u64 = self.partitions.iter().map(|one| one.own).sum();
        assert_eq!(counted, self.records.len() as u64);
    }
}

/// The first records of the source, as it makes them.
fn assert_source_order(records: &[String]) {
    let mut times: Vec<i64> = records
        .iter()
        .map(|record| record.rsplit(',').next().and_then(|time| time.parse().ok()).expect("a time"))
        .collect();
    times.sort_unstable();
    let step = times[1] - times[0];
    let is_next = |pair: &[i64]| pair[1] == pair[0] + step;
    assert!(step > 0 && times.windows(2).all(is_next), "each record once: {times:?}");
}

/// Stopped with savepoints and restored, from 1 to 3 to 2 to 2 to 4 partitions and back to 1.
fn is_redistributed(backends: [&str; 2]) {
    let job = Ledgers::new("redistributed");
    let parallelisms = [1, 3, 2, 2, 4, 1];
    for (run, parallelism) in parallelisms.into_iter().enumerate() {
        job.run_a_while(job.run(run, parallelism, backends[run % 2]), 3);
    }
    let model = Model::follow(&job.committed());
    assert_eq!(model.run, Some(5), "each run has output");
    assert_eq!(model.told, 3 + 2 + 2 + 4 + 1, "each partition told what it began with");
    model.assert_complete();
    assert_source_order(&model.records);
}

#[test]
fn it_is_redistributed_from_hashmap_to_rocksdb_and_back() {
    is_redistributed(["hashmap", "rocksdb"]);
}

#[test]
fn it_is_redistributed_from_rocksdb_to_hashmap_and_back() {
    is_redistributed(["rocksdb", "hashmap"]);
}

/// Killed at any moment, and restored from the newest checkpoint at the same parallelism, where
/// each partition gets its own, or, every third time, at another one.
fn survives_kills(backends: [&str; 2], seed: u64) {
    let job = Ledgers::new("killed");
    let mut random = Random::new(seed);
    for turn in 0..12 {
        let parallelism = [3, 2][turn / 3 % 2];
        let running = job.run(turn, parallelism, backends[turn % 2]).start();
        // Now and then before the first checkpoint, too.
        if turn % 4 > 0 {
            job.wait(random.between(1, 3) as u64);
        }
        running.kill_after(Duration::from_millis(random.between(1, 60) as u64));
    }
    // At least one checkpoint: what comes last tells of all partitions.
    job.run_a_while(job.run(12, 3, backends[0]), 2);
    let mut records = Vec::new();
    let mut kept = BTreeMap::new();
    for Committed { partition, lines, .. } in job.committed() {
        for line in &lines {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            match words[2] {
                "+" => records.push(words[3].to_owned()),
                "=" if words[0] == "12" => drop(kept.insert(partition, words[3].to_owned())),
                _ => {}
            }
        }
    }
    assert_source_order(&records);
    // In the last run: what the partitions began with is all that was there before.
    let last = |line: &&String| line.starts_with("12 ") && line.contains(" + ");
    let committed = job.committed();
    let of_last = committed.iter().flat_map(|one| &one.lines).filter(last).count();
    assert_eq!(kept.len(), 3, "each partition told what it began with");
    let parts: Vec<Vec<&str>> = kept.values().map(|text| text.split('|').collect()).collect();
    for list in [0, 1] {
        let mut found: Vec<&str> =
            parts.iter().flat_map(|part| part[list].split_whitespace()).collect();
        found.sort_unstable();
        let mut wanted: Vec<&str> =
            records[..records.len() - of_last].iter().map(String::as_str).collect();
        wanted.sort_unstable();
        assert_eq!(found, wanted);
    }
    assert!(parts.iter().all(|part| part[2..] == parts[0][2..]), "unions and maps are alike");
    let counted = parts[0][2].split(' ').map(|count| count.parse::<usize>().expect("a count"));
    assert_eq!(counted.sum::<usize>(), records.len() - of_last);
}

#[test]
fn hashmap_survives_kills() {
    survives_kills(["hashmap", "hashmap"], 21);
}

#[test]
fn rocksdb_survives_kills() {
    survives_kills(["rocksdb", "rocksdb"], 22);
}

#[test]
fn both_survive_kills_in_turn() {
    survives_kills(["rocksdb", "hashmap"], 23);
}

/// Partitions to which no record comes between two restores hand on what was their own, not the
/// union that they were given.
#[test]
fn a_union_does_not_grow_while_partitions_are_idle() {
    let job = Ledgers::new("idle");
    let call = |run: usize, count: u64| {
        let call = job.run(run, 2, "hashmap").set("source.in.count", count);
        call.set("source.rules.params.count", 3).set("source.in.rate", 100_000)
    };
    job.run_a_while(call(0, 100), 4);
    for run in 1..4 {
        job.run_a_while(call(run, 100), 2);
    }
    job.run_a_while(call(4, 110), 4);
    let committed = job.committed();
    let lines: Vec<&String> = committed.iter().flat_map(|one| &one.lines).collect();
    let begun: Vec<&str> =
        lines.iter().filter_map(|line| line.split_once(" = ").map(|(_, rest)| rest)).collect();
    assert_eq!(begun.len(), 2, "both partitions get records in the last run alone: {begun:?}");
    for beginning in begun {
        let totals = beginning.split('|').nth(2).expect("the union");
        assert_eq!(totals, "100 0", "partition 0 answers for what was there");
    }
}

/// What the sink has written and what waits in it is all that came, once: through kills and changes
/// of parallelism, and in the end with a threshold of one, where nothing waits.
fn sink_loses_nothing(backends: [&str; 2], seed: u64) {
    const RECORDS: u64 = 40_000;
    let folder = Folder::new("sink");
    let sink = component("buffering-sink");
    folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"sinks\"\n\
             [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"20ms\"\n\
             [restart]\nstrategy = \"none\"\n\
             [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
             count = {RECORDS}\nrate = 4000\nkeys = 100\n\
             [[operator]]\nid = \"buffer\"\ncomponent = {sink:?}\n\
             inputs = [{{ from = \"in\", partition = \"rebalance\" }}]\n\
             params = {{ threshold = 97 }}\n\
             [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"buffer\"\npath = \"out/\"\n"
        ),
    );
    let ask = |arguments: &[&str]| {
        let call = Tidegate::new(arguments).in_folder(folder.path());
        call.env("XDG_RUNTIME_DIR", folder.path())
    };
    let run = |turn: usize| {
        let call = ask(&["run", "job.toml", "--restore", "latest"]);
        let call = call.set("state.backend", backends[turn % 2]);
        call.set("job.parallelism", [2, 3, 1, 4][turn % 4])
    };
    let mut random = Random::new(seed);
    for turn in 0..8 {
        let running = run(turn).start();
        if turn % 4 > 0 {
            counting::wait("sinks", ask, |status| has_taken(status, 1));
        }
        running.kill_after(Duration::from_millis(random.between(1, 100) as u64));
    }
    run(8).set("operator.buffer.params.threshold", 1).set("source.in.rate", 50_000).run().expect(0);
    let written = Committed::read(&folder.join("out")).into_iter().flat_map(|one| one.lines);
    let mut clicks: Vec<String> = written.filter(|line| !line.starts_with('=')).collect();
    assert_eq!(clicks.len() as u64, RECORDS);
    assert_source_order(&clicks);
    clicks.sort();
    clicks.dedup();
    assert_eq!(clicks.len() as u64, RECORDS);
}

#[test]
fn a_sink_on_hashmap_loses_nothing() {
    sink_loses_nothing(["hashmap", "hashmap"], 31);
}

#[test]
fn a_sink_on_both_backends_loses_nothing() {
    sink_loses_nothing(["hashmap", "rocksdb"], 32);
}
