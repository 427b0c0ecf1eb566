//! A job that counts the records of each user: whatever it reads and wherever it writes, its output
//! says itself whether any record is missing or there twice. The tests of connectors run it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::binary::component;
use crate::counting::{files_below, wait};
use crate::random::Random;
use crate::{Folder, Tidegate, counts};

/// The name of the job, by which commands find it.
pub const NAME: &str = "counted";

/// A job with a folder of its own.
pub struct Counted {
    folder: Folder,
}

impl Counted {
    /// A job of these keys of its source `in`, of its sink `out`, and whatever else; each is TOML.
    /// The first field of a record is its user.
    pub fn new(name: &str, source: &str, sink: &str, more: &str) -> Self {
        let folder = Folder::new(name);
        let count = component("count");
        folder.write(
            "job.toml",
            format!(
                "[job]\nname = \"{NAME}\"\nparallelism = 2\nmax_parallelism = 16\n{more}\n\
                 [[source]]\nid = \"in\"\n{source}\n\
                 [[operator]]\nid = \"count\"\ncomponent = {count:?}\n\
                 inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
                 [[sink]]\nid = \"out\"\nfrom = \"count\"\n{sink}\n"
            ),
        );
        Self { folder }
    }

    /// The keys of checkpoints that come fast, in the folder of the job.
    pub fn checkpoints() -> &'static str {
        "[checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"50ms\"\n\
         [restart]\nstrategy = \"none\"\n"
    }

    /// The keys of a sink that writes the folder `out`.
    pub fn file_sink() -> &'static str {
        "connector = \"file\"\npath = \"out\"\n"
    }

    /// The folder of the job.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A call of `run`.
    pub fn run(&self) -> Tidegate {
        self.ask(&["run", "job.toml"])
    }

    /// A call of `run` that goes on from where the job was.
    pub fn go_on(&self) -> Tidegate {
        self.run().arg("--restore").arg("latest")
    }

    /// A call of any command, which sees this job and no other.
    pub fn ask(&self, arguments: &[&str]) -> Tidegate {
        Tidegate::new(arguments)
            .in_folder(self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
    }

    /// Asks for the job's status until it is as wanted.
    #[track_caller]
    pub fn wait(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        wait(NAME, |arguments| self.ask(arguments), is_wanted)
    }

    /// Waits until the sink has had so many records.
    #[track_caller]
    pub fn wait_for(&self, records: u64) {
        self.wait(|status| counter(status, "out", "records_in") >= records);
    }

    /// Kills the job so often, each time at another moment, and goes on. `prepare` makes each call
    /// ready.
    pub fn survive_kills(&self, kills: u32, seed: u64, prepare: impl Fn(Tidegate) -> Tidegate) {
        let mut random = Random::new(seed);
        for _ in 0..kills {
            let running = prepare(self.go_on()).start();
            running.kill_after(Duration::from_millis(random.between(1, 300) as u64));
        }
    }

    /// Ends the job in good order.
    #[track_caller]
    pub fn stop(&self) {
        self.ask(&["stop", NAME]).run().expect(0);
    }

    /// The visible files of the output, by their names below its folder.
    pub fn output(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        files_below(&self.folder.join("out"))
    }

    /// Fails the test unless the output has so many records, each once, those of a user in order.
    #[track_caller]
    pub fn assert_exactly_once(&self, records: u64) {
        assert_exactly_once(self.output(), records);
    }

    /// As [`assert_exactly_once`](Self::assert_exactly_once), of a job without checkpoints and with
    /// one file a partition.
    #[track_caller]
    pub fn assert_exactly_once_in_all(&self, records: u64) {
        let texts: Vec<String> = self
            .output()
            .into_values()
            .map(|bytes| String::from_utf8(bytes).expect("output is text"))
            .collect();
        assert_eq!(counts::check(&texts, records), Ok(()));
    }
}

/// A counter of a node in a status.
fn counter(status: &Value, node: &str, counter: &str) -> u64 {
    let nodes = status["nodes"].as_array().map_or(&[][..], Vec::as_slice);
    let found = nodes.iter().find(|found| found["id"] == node);
    found.and_then(|found| found[counter].as_u64()).unwrap_or_default()
}

/// As [`Counted::assert_exactly_once`], of an output that lies elsewhere.
#[track_caller]
pub fn assert_exactly_once(files: BTreeMap<PathBuf, Vec<u8>>, records: u64) {
    let name = |path: &Path| path.to_str().expect("names are text").to_owned();
    let text = |bytes| String::from_utf8(bytes).expect("output is text");
    let files = files.into_iter().map(|(path, bytes)| (name(&path), text(bytes)));
    assert_eq!(counts::check(&counts::in_order_of_commits(files), records), Ok(()));
}

/// Clicks `user,url,timestamp_ms` of a few users, one a minute, from the one of number `from`.
pub fn clicks(from: u64, count: u64) -> String {
    (from..from + count)
        .map(|n| format!("user{},/page/{},{}\n", n % 97, n % 7, n * 60_000))
        .collect()
}
