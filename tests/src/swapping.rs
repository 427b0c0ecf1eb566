//! The job that tests of swaps change the function of: it counts made-up clicks, and its output
//! says of each record which version has counted it, with which state.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::binary::component;
use crate::counting::{files_below, wait};
use crate::counts::in_order_of_commits;
use crate::{Folder, Tidegate};

/// The name of the job, by which commands find it.
pub const NAME: &str = "swapping";

/// Fast enough to be done at once.
pub const FAST: u64 = 1_000_000_000;

/// The job with a folder of its own.
pub struct Swapping {
    folder: Folder,
    records: u64,
}

/// A line of the output.
struct Counted<'a> {
    key: &'a str,
    count: u64,
    line: u64,
    tag: &'a str,
}

impl Swapping {
    /// A job of `swap-v1` at parallelism 2 with this backend, a checkpoint every 50 ms, so many
    /// records in all and 20,000 a second.
    pub fn new(name: &str, backend: &str, records: u64) -> Self {
        let folder = Folder::new(name);
        let first = component("swap-v1");
        folder.write("swap_v1.wasm", std::fs::read(first).expect("it is built"));
        folder.write(
            "job.toml",
            format!(
                "[job]\nname = \"{NAME}\"\nparallelism = 2\nmax_parallelism = 16\n\
                 [state]\nbackend = \"{backend}\"\n\
                 [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"50ms\"\n\
                 [restart]\nstrategy = \"none\"\n\
                 [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
                 count = {records}\nkeys = 1000\nrate = 20000\n\
                 [[operator]]\nid = \"count\"\ncomponent = \"swap_v1.wasm\"\n\
                 inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
                 [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"count\"\npath = \"out/\"\n"
            ),
        );
        Self { folder, records }
    }

    /// The folder of the job.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A call of `run`.
    pub fn run(&self, restore: &str) -> Tidegate {
        self.ask(&["run", "job.toml", "--restore", restore])
    }

    /// A call of any command, which sees this job and no other.
    pub fn ask(&self, arguments: &[&str]) -> Tidegate {
        Tidegate::new(arguments)
            .in_folder(self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
    }

    /// A call of `swap` with the component of a test guest.
    pub fn swap(&self, version: &str, arguments: &[&str]) -> Tidegate {
        let mut call = self.ask(&["swap", NAME, "count"]).arg(component(version));
        for argument in arguments {
            call = call.arg(argument);
        }
        call
    }

    /// Asks for the job's status until it is as wanted.
    #[track_caller]
    pub fn wait(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        wait(NAME, |arguments| self.ask(arguments), is_wanted)
    }

    /// Waits until the job has counted some records more.
    #[track_caller]
    pub fn wait_for_records(&self, more: u64) {
        let records = |status: &Value| status["nodes"][1]["records_in"].as_u64();
        let now = records(&self.wait(|status| records(status).is_some()));
        let wanted = now.expect("it was looked at") + more;
        self.wait(|status| records(status) >= Some(wanted));
    }

    /// Waits until the last swap has come to this.
    #[track_caller]
    pub fn wait_for_swap(&self, what: &str) {
        self.wait(|status| {
            let swap = status["functions"][0]["swap"].as_str();
            swap.is_some_and(|swap| swap.starts_with(what))
        });
    }

    /// Holds the output against the oracle: each record is counted once, each key in order by all
    /// versions together, and which version has counted a record depends on its place in the input
    /// alone. Returns the versions in that order, each with the first record that it has counted.
    #[track_caller]
    pub fn versions(&self) -> Vec<(String, u64)> {
        let (versions, records) = self.check();
        assert_eq!(records, self.records, "records in the output");
        versions
    }

    /// As [`versions`](Self::versions), of a job that was stopped before its input ended.
    #[track_caller]
    pub fn versions_so_far(&self) -> Vec<(String, u64)> {
        self.check().0
    }

    #[track_caller]
    fn check(&self) -> (Vec<(String, u64)>, u64) {
        let visible = files_below(&self.folder.join("out")).into_iter();
        let files = visible.map(|(path, bytes)| {
            let name = path.to_str().expect("names are text").to_owned();
            (name, String::from_utf8(bytes).expect("output is text"))
        });
        let files = in_order_of_commits(files);
        let mut lines: Vec<Counted<'_>> = Vec::new();
        // By partition's file, then by key: the last line.
        let mut last: BTreeMap<&str, u64> = BTreeMap::new();
        for line in files.iter().flat_map(|text| text.lines()) {
            let fields: Vec<&str> = line.split(',').collect();
            let [key, count, number, tag] = fields[..] else { panic!("{line:?} is no count") };
            let (count, line) = (count.parse().expect(line), number.parse().expect(line));
            let before = last.insert(key, line);
            assert!(before < Some(line), "{key}: {line} comes after {before:?}");
            lines.push(Counted { key, count, line, tag });
        }
        lines.sort_by_key(|counted| counted.line);
        let (records, numbers) = (lines.len() as u64, lines.iter().map(|counted| counted.line));
        assert!(numbers.eq(0..records), "{records} records, but not the first ones");
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        let mut versions: Vec<(String, u64)> = Vec::new();
        for Counted { key, count, line, tag } in lines {
            let expected = counts.entry(key).or_default();
            *expected += 1;
            assert_eq!(count, *expected, "{key} at record {line} by {tag}");
            if versions.last().is_none_or(|(last, _)| last != tag) {
                versions.push((tag.to_owned(), line));
            }
        }
        (versions, records)
    }
}
