//! Kafka: a real broker, which the tests start and stop. What a source reads and where it goes on;
//! what consumers of committed records see of a sink, whatever is killed.

mod exactly_once;
mod outages;
mod papers;
mod sinks;
mod sources;

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, OnceLock};

use serde_json::Value;
use tidegate_tests::binary::component;
use tidegate_tests::counting;
use tidegate_tests::servers::kafka::Broker;
use tidegate_tests::{Folder, Tidegate};

/// The broker of all tests that leave it running; none if there is no Kafka.
fn shared() -> Option<MutexGuard<'static, Broker>> {
    static BROKER: OnceLock<Option<Mutex<Broker>>> = OnceLock::new();
    let broker = BROKER.get_or_init(|| Broker::start().map(Mutex::new)).as_ref();
    // A test that failed has left it running.
    broker.map(|broker| broker.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

/// A job in a folder of its own, from topic `in` to a sink.
struct Job {
    folder: Folder,
    name: String,
    source: String,
    middle: String,
    sink: String,
    checkpoint: String,
}

impl Job {
    /// A job named `name` that reads `topics` of the broker up to what is there, and writes files.
    fn new(name: &str, brokers: &str, topics: &str) -> Self {
        Self {
            folder: Folder::new(name),
            name: name.to_owned(),
            source: format!("brokers = {brokers:?}\ntopics = [{topics:?}]\nuntil = \"latest\"\n"),
            middle: String::new(),
            sink: "connector = \"file\"\npath = \"out/\"\n".into(),
            checkpoint: String::new(),
        }
    }

    /// Adds keys to the source.
    fn source(mut self, more: &str) -> Self {
        writeln!(self.source, "{more}").expect("a string takes everything");
        self
    }

    /// Does not end with what is there.
    fn endless(mut self) -> Self {
        self.source = self.source.replace("until = \"latest\"\n", "");
        self
    }

    /// Puts the function of a crate between source and sink.
    fn operator(mut self, crate_name: &str, partition: &str) -> Self {
        let component = component(crate_name);
        self.middle = format!(
            "[[operator]]\nid = \"f\"\ncomponent = {component:?}\n\
             inputs = [{{ from = \"in\"{partition} }}]\n"
        );
        self
    }

    /// Writes a topic instead of files.
    fn into_kafka(mut self, brokers: &str, topic: &str, more: &str) -> Self {
        self.sink =
            format!("connector = \"kafka\"\nbrokers = {brokers:?}\ntopic = {topic:?}\n{more}\n");
        self
    }

    /// Takes checkpoints.
    fn checkpoints(mut self, more: &str) -> Self {
        self.checkpoint = format!(
            "[checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"100ms\"\n{more}\n"
        );
        self
    }

    /// A call of `run`.
    fn run(&self) -> Tidegate {
        let Self { name, source, middle, sink, checkpoint, .. } = self;
        let from = if middle.is_empty() { "in" } else { "f" };
        self.folder.write(
            "job.toml",
            format!(
                "[job]\nname = {name:?}\n{checkpoint}\n\
                 [[source]]\nid = \"in\"\nconnector = \"kafka\"\n{source}\n{middle}\n\
                 [[sink]]\nid = \"out\"\nfrom = {from:?}\n{sink}\n"
            ),
        );
        self.ask(&["run", "job.toml"])
    }

    /// A call of any command, which sees this job and no other.
    fn ask(&self, arguments: &[&str]) -> Tidegate {
        Tidegate::new(arguments)
            .in_folder(self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
    }

    /// Asks for the job's status until it is as wanted.
    #[track_caller]
    fn wait(&self, is_wanted: impl Fn(&Value) -> bool) -> Value {
        counting::wait(&self.name, |arguments| self.ask(arguments), is_wanted)
    }

    /// Waits until the sink has taken so many records.
    #[track_caller]
    fn wait_for_records(&self, count: u64) {
        self.wait(|status| records_in(status, "out") >= count);
    }

    /// Cancels it.
    #[track_caller]
    fn cancel(&self) {
        self.ask(&["cancel", &self.name]).run().expect(0);
    }

    /// The lines of all visible output files, sorted.
    fn lines(&self) -> Vec<String> {
        let files = counting::files_below(&self.folder.join("out")).into_values();
        let texts = files.map(|bytes| String::from_utf8(bytes).expect("output is text"));
        let mut lines: Vec<String> =
            texts.flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
        lines.sort();
        lines
    }
}

/// How many records a node has taken in, by a status.
fn records_in(status: &Value, node: &str) -> u64 {
    let nodes = status["nodes"].as_array().into_iter().flatten();
    let found =
        nodes.filter(|found| found["id"] == node).find_map(|one| one["records_in"].as_u64());
    found.unwrap_or(0)
}
