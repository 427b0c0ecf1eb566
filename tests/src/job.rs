//! Job files in the shape that most tests need: one source, one or more operators that read it by
//! key, each with a file sink. Other shapes are written out by their tests.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::binary::component;
use crate::{Ended, Folder, Sink, Tidegate};

/// A job over one source, which writes the output of operator `x` to the folder `out-x`.
pub struct Job {
    folder: Folder,
    source: String,
    operators: String,
    ids: Vec<String>,
    parallelism: u32,
}

/// The source of a job, up to the keys that a test adds.
pub struct Source;

impl Source {
    /// A file or a folder of them, as CSV.
    pub fn file(path: &Path) -> String {
        format!("connector = \"file\"\npath = {path:?}\nformat = \"csv\"\n")
    }

    /// Clicks `user,url,timestamp_ms` whose watermark is `delay` milliseconds late.
    pub fn clicks(path: &Path, delay: i64) -> String {
        let source = Self::file(path);
        format!("{source}timestamp = {{ field = 2, unit = \"ms\" }}\n{}", Self::bounded(delay))
    }

    /// Readings `id,unix_seconds,temperature` whose watermark is a second late.
    pub fn sensors(path: &Path) -> String {
        let source = Self::file(path);
        format!("{source}timestamp = {{ field = 1, unit = \"s\" }}\n{}", Self::bounded(1_000))
    }

    fn bounded(delay: i64) -> String {
        match delay {
            0 => "watermark = { strategy = \"monotonous\" }\n".to_owned(),
            _ => format!(
                "watermark = {{ strategy = \"bounded-out-of-orderness\", delay = \"{delay}ms\" }}\n"
            ),
        }
    }
}

impl Job {
    /// A job in a folder of its own. `source` is TOML.
    pub fn new(folder: Folder, source: impl Into<String>) -> Self {
        Self {
            folder,
            source: source.into(),
            operators: String::new(),
            ids: Vec::new(),
            parallelism: 1,
        }
    }

    /// Adds an operator that runs the component of a crate; `key` is TOML, as is `more`.
    pub fn operator(mut self, id: &str, crate_name: &str, key: &str, more: &str) -> Self {
        let component = component(crate_name);
        write!(
            self.operators,
            "[[operator]]\nid = {id:?}\ncomponent = {component:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = {key} }} }}]\n{more}\n\
             [[sink]]\nid = \"out-{id}\"\nconnector = \"file\"\nfrom = {id:?}\n\
             path = \"out-{id}/\"\n\n"
        )
        .expect("a string takes everything");
        self.ids.push(id.to_owned());
        self
    }

    /// Partitions of each operator.
    pub fn parallelism(mut self, parallelism: u32) -> Self {
        self.parallelism = parallelism;
        self
    }

    /// Writes the job file.
    pub fn write(&self) -> PathBuf {
        let Self { source, operators, parallelism, .. } = self;
        self.folder.write(
            "job.toml",
            format!(
                "[job]\nname = \"test\"\nparallelism = {parallelism}\n\n\
                 [[source]]\nid = \"in\"\n{source}\n{operators}"
            ),
        )
    }

    /// Runs the job with a report.
    pub fn run(&self) -> Ended {
        Tidegate::run_job(&self.write()).arg("--report").arg(self.folder.join("report.json")).run()
    }

    /// What operator `id` wrote, after a run.
    #[track_caller]
    pub fn sink(&self, id: &str) -> Sink {
        let sink = Sink::read(&self.folder.join(format!("out-{id}")));
        assert_eq!(sink.parts(), self.parallelism as usize, "files of {id}");
        sink
    }

    /// The report of the last run.
    pub fn report(&self) -> Report {
        Report::read(&self.folder.join("report.json"))
    }

    /// The folder of the job.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }
}

/// What `--report` wrote.
pub struct Report(pub serde_json::Value);

impl Report {
    /// Reads a report.
    #[track_caller]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        Self(serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")))
    }

    /// A counter of a node.
    #[track_caller]
    pub fn counter(&self, node: &str, counter: &str) -> u64 {
        let nodes = self.0["nodes"].as_array().expect("a report has nodes");
        let found = nodes.iter().find(|found| found["id"] == node);
        let count = found.and_then(|found| found[counter].as_u64());
        count.unwrap_or_else(|| panic!("no {counter} of {node} in {}", self.0))
    }

    /// The most memory that the process used.
    #[track_caller]
    pub fn peak_memory_bytes(&self) -> u64 {
        self.0["peak_memory_bytes"].as_u64().expect("Linux tells")
    }
}
