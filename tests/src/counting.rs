//! The job that tests of recovery break and mend: it counts made-up clicks, and its output says
//! itself whether any is missing or there twice.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate::checkpoint::Manifest;

use crate::binary::component;
use crate::{Folder, Tidegate, counts};

/// The name of the job, by which commands find it.
pub const NAME: &str = "counting";

/// Records of the whole job.
pub const RECORDS: u64 = 60_000;

/// Records a second: fast enough to be done at once.
pub const FAST: u64 = 1_000_000_000;

/// A status is asked for so often at most: for longer than the half minute that Kafka's client may
/// take to give up a commit.
const POLLS_MAX: u32 = 8_000;

/// The job with a folder of its own, where its checkpoints and its output are.
pub struct Counting {
    folder: Folder,
}

impl Counting {
    /// A job of parallelism 2 with the `hashmap` backend, a checkpoint every 50 ms of which three
    /// are kept, no restarts, and 20,000 records a second.
    pub fn new(name: &str) -> Self {
        let folder = Folder::new(name);
        let count = component("count");
        let job = format!(
            "[job]\nname = \"{NAME}\"\nparallelism = 2\nmax_parallelism = 16\n\
             [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"50ms\"\nkeep = 3\n\
             [restart]\nstrategy = \"none\"\n\
             [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
             count = {RECORDS}\nkeys = 5000\nrate = 20000\n\
             [[operator]]\nid = \"count\"\ncomponent = {count:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
             [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"count\"\npath = \"out/\"\n"
        );
        folder.write("job.toml", job);
        Self { folder }
    }

    /// One that has run for a while on this backend, with three checkpoints, and was cancelled.
    pub fn cancelled(name: &str, backend: &str) -> Self {
        let job = Self::new(name);
        let running = job.run().set("state.backend", backend).start();
        job.wait(|status| status["checkpoints"]["completed"].as_u64() >= Some(4));
        job.ask(&["cancel", NAME]).run().expect(0).expect_story(["is cancelled"]);
        running.wait().expect(130);
        assert_eq!(job.checkpoints().len(), 3);
        job
    }

    /// The same as it stands now, in another folder.
    pub fn copy(&self, name: &str) -> Self {
        let folder = Folder::new(name);
        for (path, content) in self.files() {
            folder.write(path.to_str().expect("names are text"), content);
        }
        Self { folder }
    }

    /// The folder of the job.
    pub fn folder(&self) -> &Folder {
        &self.folder
    }

    /// A call of `run`.
    pub fn run(&self) -> Tidegate {
        self.run_file("job.toml")
    }

    /// A call of `run` on another file in the job's folder.
    pub fn run_file(&self, file: &str) -> Tidegate {
        self.ask(&["run", file]).arg("--report").arg(self.folder.join("report.json"))
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

    /// Runs the job from here to its end, which must be a good one, and checks the output. Returns
    /// what it said and the checkpoint that it began with.
    #[track_caller]
    pub fn finish(&self, restore: &str) -> (String, Option<u64>) {
        let run = self.run().arg("--restore").arg(restore).set("source.in.rate", FAST);
        let ended = run.run().expect(0);
        self.assert_exactly_once();
        (ended.stderr, self.report()["checkpoints"]["restored_from"].as_u64())
    }

    /// Fails the test unless the output has each record once.
    #[track_caller]
    pub fn assert_exactly_once(&self) {
        let visible = files_below(&self.folder.join("out")).into_iter();
        let text = |bytes| String::from_utf8(bytes).expect("output is text");
        let name = |path: PathBuf| path.to_str().expect("names are text").to_owned();
        let files = visible.map(|(path, bytes)| (name(path), text(bytes)));
        assert_eq!(counts::check(&counts::in_order_of_commits(files), RECORDS), Ok(()));
    }

    /// What the last run wrote as its report.
    pub fn report(&self) -> Value {
        serde_json::from_str(&self.folder.read("report.json")).expect("a report is JSON")
    }

    /// The numbers of complete checkpoints, oldest first.
    pub fn checkpoints(&self) -> Vec<u64> {
        let files = files_below(&self.folder.join("checkpoints")).into_keys();
        let number = |path: PathBuf| {
            path.to_str()?.strip_prefix("chk-")?.strip_suffix("/manifest")?.parse().ok()
        };
        let mut numbers: Vec<u64> = files.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The path of a checkpoint's manifest.
    pub fn manifest_path(&self, checkpoint: u64) -> PathBuf {
        self.folder.join(format!("checkpoints/chk-{checkpoint}/manifest"))
    }

    /// The manifest of a checkpoint.
    pub fn manifest(&self, checkpoint: u64) -> Manifest {
        let bytes = fs::read(self.manifest_path(checkpoint)).expect("it is there");
        Manifest::decode(&bytes, "the manifest").expect("it is whole")
    }

    /// The job's files, checkpoints and output, but not what is there while it runs.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let mut files = files_below(self.folder.path());
        files.retain(|path, _| !path.starts_with("tidegate") && !path.ends_with("report.json"));
        files
    }
}

/// Asks for the status of a job until it is as wanted. `ask` makes a call.
///
/// # Panics
/// If it never is.
#[track_caller]
pub fn wait(
    job: &str,
    ask: impl Fn(&[&str]) -> Tidegate,
    is_wanted: impl Fn(&Value) -> bool,
) -> Value {
    let mut last = String::new();
    for _ in 0..POLLS_MAX {
        let ended = ask(&["status", job, "--json"]).run();
        last = ended.stdout + &ended.stderr;
        // A job that has just begun has no status.
        if let Ok(status) = serde_json::from_str(&last)
            && is_wanted(&status)
        {
            return status;
        }
    }
    panic!("the status is not as wanted: {last}")
}

/// All regular files below a folder and what they hold; none if there is no folder.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    collect(folder, Path::new(""), &mut files);
    files
}

fn collect(root: &Path, below: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
    let Ok(entries) = fs::read_dir(root.join(below)) else { return };
    for entry in entries {
        let entry = entry.expect("the folder can be read");
        let (kind, path) = (entry.file_type().expect("it is there"), below.join(entry.file_name()));
        if kind.is_dir() {
            collect(root, &path, files);
        } else if kind.is_file() {
            let content = fs::read(entry.path()).expect("the file can be read");
            files.insert(path, content);
        }
    }
}
