//! A running job whose function is a `chameleon`: one component in which tests write what it is to
//! declare, so that any version can take the place of any other. Its output says of each record
//! which version has counted it, and what it had in its state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::binary::{Ended, Running, component};
use crate::counting::{files_below, wait};
use crate::counts::in_order_of_commits;
use crate::{Folder, Tidegate};

/// The name of the job, by which commands find it.
const NAME: &str = "chameleon";

/// What stands before the settings in the component.
const MARKER: &[u8] = b"<chameleon's settings>";

/// Room for the settings.
const SETTINGS_BYTES: usize = 512 - MARKER.len();

/// Records of the whole job, more than any test waits for.
const RECORDS: u64 = 2_000_000;

/// Records a second.
const RATE: u64 = 10_000;

/// What a component is to declare, as `tests/guests/chameleon/src/lib.rs` lists it. Of two that say
/// something of the same the later one counts.
pub type Settings<'a> = Vec<(&'a str, String)>;

/// The job with a folder of its own.
pub struct Chameleon {
    folder: Folder,
    component: Vec<u8>,
    /// Where the settings are in it.
    place: usize,
    running: Option<Running>,
    /// The versions in the order that they counted in: the last field of what each sends out, and
    /// which state it counts in.
    history: Vec<(String, usize)>,
    states: usize,
    versions: usize,
}

/// How a version relates to the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counts {
    /// It counts on in the same state.
    On,
    /// It counts in another state, which is empty at first.
    Anew,
}

/// A version that has been written to a file.
pub struct Version {
    /// The last field of what it sends out.
    pub tag: String,
    /// The component.
    pub path: PathBuf,
}

impl Chameleon {
    /// Starts the job with a first version: parallelism 2, a checkpoint every 50 ms, 300 keys. The
    /// text is added to the job file, at a place where the operator goes on.
    pub fn start(name: &str, backend: &str, settings: &Settings<'_>, of_operator: &str) -> Self {
        Self::start_with_interval("50ms", name, backend, settings, of_operator)
    }

    /// As [`start`](Self::start), with so long between two checkpoints.
    pub fn start_with_interval(
        interval: &str,
        name: &str,
        backend: &str,
        settings: &Settings<'_>,
        of_operator: &str,
    ) -> Self {
        let bytes = std::fs::read(component("chameleon")).expect("it is built");
        let places: Vec<usize> = (0..bytes.len() - MARKER.len())
            .filter(|&place| bytes[place..].starts_with(MARKER))
            .collect();
        let [place] = places[..] else { panic!("its settings are at {places:?}") };
        let mut job = Self {
            folder: Folder::new(name),
            component: bytes,
            place: place + MARKER.len(),
            running: None,
            history: Vec::new(),
            states: 0,
            versions: 0,
        };
        let first = job.version(settings);
        job.folder.write(
            "job.toml",
            format!(
                "[job]\nname = \"{NAME}\"\nparallelism = 2\nmax_parallelism = 16\n\
                 [state]\nbackend = \"{backend}\"\n\
                 [checkpoint]\nstorage = \"file://checkpoints\"\ninterval = \"{interval}\"\n\
                 [restart]\nstrategy = \"none\"\n\
                 [[source]]\nid = \"in\"\nconnector = \"generator\"\nshape = \"clicks\"\n\
                 count = {RECORDS}\nkeys = 300\nrate = {RATE}\n\
                 [[sink]]\nid = \"out\"\nconnector = \"file\"\nfrom = \"count\"\npath = \"out/\"\n\
                 [[operator]]\nid = \"count\"\ncomponent = {:?}\n\
                 inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n{of_operator}",
                first.path
            ),
        );
        job.running = Some(job.ask(&["run", "job.toml", "--restore", "none"]).start());
        job.took_over(&first, Counts::Anew);
        job
    }

    /// Writes a version to a file.
    pub fn version(&mut self, settings: &Settings<'_>) -> Version {
        let tag = format!("version-{}", self.versions);
        self.versions += 1;
        let mut pairs: BTreeMap<&str, &str> = BTreeMap::from([("tag", tag.as_str())]);
        pairs.extend(settings.iter().map(|(name, value)| (*name, value.as_str())));
        let pairs: Vec<String> =
            pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = pairs.join(";");
        assert!(text.len() <= SETTINGS_BYTES, "{text} is too long");
        let mut component = self.component.clone();
        let place = &mut component[self.place..][..SETTINGS_BYTES];
        assert!(place.iter().all(|byte| *byte == b' '), "there is no room in the component");
        place[..text.len()].copy_from_slice(text.as_bytes());
        let path = self.folder.write(&format!("{tag}.wasm"), component);
        Version { tag, path }
    }

    /// A call of any command, which sees this job and no other.
    fn ask(&self, arguments: &[&str]) -> Tidegate {
        Tidegate::new(arguments)
            .in_folder(self.folder.path())
            .env("XDG_RUNTIME_DIR", self.folder.path())
    }

    /// A call of `swap` to its end.
    pub fn swap(&self, component: &Path, arguments: &[&str]) -> Ended {
        let call = self.ask(&["swap", NAME, "count"]).arg(component);
        arguments.iter().fold(call, Tidegate::arg).run()
    }

    /// Takes note that a version has taken over, and waits until it has counted.
    #[track_caller]
    pub fn took_over(&mut self, version: &Version, counts: Counts) {
        if counts == Counts::Anew {
            self.states += 1;
        }
        self.history.push((version.tag.clone(), self.states));
        self.wait_for_records();
    }

    /// Waits until there is no way back from the last swap: a migration takes a checkpoint more.
    #[track_caller]
    pub fn wait_until_confirmed(&self) {
        let ask = |arguments: &[&str]| self.ask(arguments);
        wait(NAME, ask, |status| {
            let swap = status["functions"][0]["swap"].as_str();
            swap.is_some_and(|swap| swap.starts_with("confirmed"))
        });
    }

    /// Puts a version in the place of the running one.
    #[track_caller]
    pub fn change_to(&mut self, settings: &Settings<'_>, counts: Counts) -> Version {
        let version = self.version(settings);
        let told = self.swap(&version.path, &["--confirm-after", "0"]).expect(0).stdout;
        assert!(told.contains("swapped at file://"), "{told}");
        self.took_over(&version, counts);
        version
    }

    /// Puts a version in the place of the running one, lets it count, and takes that back.
    #[track_caller]
    pub fn change_and_undo(&mut self, settings: &Settings<'_>, verdict: &str) {
        let version = self.version(settings);
        let before = self.history.last().expect("the first is there").clone();
        let told = self.swap(&version.path, &["--confirm-after", "10m"]).expect(0).stdout;
        assert_eq!(told.lines().nth(1), Some(verdict), "{told}");
        self.wait_for_records();
        // What no checkpoint has made visible is counted again by the version before.
        self.wait_for_checkpoint();
        let told = self.ask(&["swap", NAME, "count", "--to-previous"]).run().expect(0).stdout;
        assert!(told.contains("the function before is back"), "{told}");
        // What a migration may still undo is not visible; all else stays.
        if verdict == "compatible" {
            self.states += 1;
            self.history.push((version.tag, self.states));
            self.history.push(before);
        }
        self.wait_for_records();
    }

    /// Kills the job and restores it from its last checkpoint.
    #[track_caller]
    pub fn crash(&mut self) {
        self.running.take().expect("it runs").kill_after(Duration::ZERO);
        self.running = Some(self.ask(&["run", "job.toml", "--restore", "latest"]).start());
        self.wait_for_records();
    }

    /// Waits until the job has counted so many records that most keys have come.
    #[track_caller]
    fn wait_for_records(&self) {
        self.wait_for_more(600, |status| status["nodes"][1]["records_in"].as_u64());
    }

    /// Waits until a checkpoint is complete that was begun after now.
    #[track_caller]
    fn wait_for_checkpoint(&self) {
        // The next one to complete may have been begun before.
        self.wait_for_more(2, |status| status["checkpoints"]["completed"].as_u64());
    }

    /// Waits until a count in the job's status is so much higher than now.
    #[track_caller]
    fn wait_for_more(&self, more: u64, count: impl Fn(&Value) -> Option<u64>) {
        let ask = |arguments: &[&str]| self.ask(arguments);
        let now = count(&wait(NAME, ask, |status| count(status).is_some()));
        let wanted = now.expect("it was looked at") + more;
        wait(NAME, ask, |status| count(status) >= Some(wanted));
    }

    /// Stops the job, restores it, stops it again, and holds the output against the oracle.
    #[track_caller]
    pub fn end(mut self) {
        self.stop();
        let restored = self.ask(&["run", "job.toml", "--restore", "latest"]).start();
        self.running = Some(restored);
        self.wait_for_records();
        self.stop();
        self.check("out");
        if self.folder.join("aside").is_dir() {
            self.check("aside");
        }
    }

    #[track_caller]
    fn stop(&mut self) {
        self.ask(&["stop", NAME]).run().expect(0);
        self.running.take().expect("it runs").wait().expect(130);
    }

    /// Holds the output against the oracle: each record is counted once up to some record; which
    /// version has counted it depends on its place in the input alone; and its count is the number
    /// of records that have been counted in the same state.
    #[track_caller]
    fn check(&self, folder: &str) {
        let visible = files_below(&self.folder.join(folder)).into_iter();
        let files = visible.map(|(path, bytes)| {
            let name = path.to_str().expect("names are text").to_owned();
            (name, String::from_utf8(bytes).expect("output is text"))
        });
        let files = in_order_of_commits(files);
        let mut lines: Vec<(u64, &str, u64, &str)> = Vec::new();
        for line in files.iter().flat_map(|text| text.lines()) {
            let fields: Vec<&str> = line.split(',').collect();
            let [key, count, number, tag] = fields[..] else { panic!("{line:?} is no count") };
            lines.push((number.parse().expect(line), key, count.parse().expect(line), tag));
        }
        lines.sort_unstable();
        let numbers = lines.iter().map(|(number, ..)| *number);
        assert!(numbers.eq(0..lines.len() as u64), "records are missing, or there twice");
        let mut history = self.history.iter();
        let mut now: Option<&(String, usize)> = None;
        let mut counts: BTreeMap<(usize, &str), u64> = BTreeMap::new();
        // Keys that the version of now has counted, and how many of them it found in its state.
        let (mut seen, mut found) = (BTreeSet::new(), 0);
        let mut found_by: BTreeMap<&str, u64> = BTreeMap::new();
        for (number, key, count, tag) in lines {
            if now.is_none_or(|(now, _)| now != tag) {
                let next = history.next().filter(|(next, _)| next == tag);
                let next = next.unwrap_or_else(|| panic!("{tag} counts {number} after {now:?}"));
                now = Some(next);
                (seen, found) = (BTreeSet::new(), 0);
            }
            let (_, state) = now.expect("it was just set");
            let expected = counts.entry((*state, key)).or_default();
            found += u64::from(seen.insert(key) && *expected > 0);
            found_by.insert(tag, found);
            *expected += 1;
            assert_eq!(count, *expected, "{key} at record {number} by {tag}, state {state}");
        }
        for pair in self.history.windows(2) {
            let [(_, before), (tag, state)] = pair else { unreachable!("windows of two") };
            // Else nothing would show that the state is there.
            assert!(before != state || found_by[tag.as_str()] > 30, "{tag} finds {found_by:?}");
        }
        assert_eq!(history.next(), None, "it has counted nothing");
    }
}
