//! Sinks whose output goes to an external system that knows transactions: Kafka, a database.
//!
//! Such a system cannot be asked to keep a transaction open until a checkpoint is complete and
//! through a crash of the host. So each partition writes a log ([`super::sink_log`]) to the
//! checkpoint storage, and a log is prepared output as a file is. Once the manifest is visible
//!
//! 1. the logs of one barrier, of all partitions, are written to the system in one transaction that
//!    also carries a [`Marker`];
//! 2. the logs are removed.
//!
//! A restore repeats both. The marker tells it whether the first was done already.
//!
//! ```text
//! <storage>/sinks/<sink>/<attempt>-<partition>-after-<barrier>.log
//! ```

use std::collections::BTreeMap;
use std::io::{self, ErrorKind::NotFound};
use std::sync::{Arc, Mutex, MutexGuard};

use super::manifest::{FileRef, PreparedOutput};
use super::sink_log::{self, LogRecord};
use super::storage::Storage;
use crate::error::{Error, Result};

/// Which logs an external system has: those up to one barrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// The barrier.
    pub checkpoint: u64,
    /// The attempt that wrote the logs: a job that has begun anew without its checkpoints counts
    /// barriers from 1 again.
    pub attempt: String,
}

/// The external system behind a sink.
pub trait Committer: Send {
    /// Connects, shuts out whoever committed for this sink before, and undoes what they left open.
    /// From now on only this committer changes the sink's marker.
    ///
    /// # Errors
    /// If the system cannot be reached, or refuses.
    fn claim(&mut self) -> Result<()>;

    /// The marker that was committed last; none before the first.
    ///
    /// # Errors
    /// If the system cannot be reached, or if another committer has claimed the sink.
    fn committed(&mut self) -> Result<Option<Marker>>;

    /// Writes all records, in their order, and the marker, in one transaction: all of it is there
    /// when this returns, or none.
    ///
    /// # Errors
    /// Those of the logs, which leave nothing behind; if the system fails, after which it is not
    /// known whether it was done; if another committer has claimed the sink.
    fn commit(&mut self, marker: &Marker, logs: &Logs<'_>) -> Result<()>;
}

/// The logs of all partitions of a sink that one barrier ended.
pub struct Logs<'a> {
    storage: &'a dyn Storage,
    files: Vec<(u32, &'a FileRef)>,
}

impl Logs<'_> {
    /// Visits all records, partition by partition. Can be repeated.
    ///
    /// # Errors
    /// Those of `visit`; `Corruption` if a log is not what was written, which may show only after
    /// its records were visited; `Storage` if the storage fails.
    pub fn for_each(&self, visit: &mut dyn FnMut(LogRecord<'_>) -> Result<()>) -> Result<()> {
        self.files.iter().try_for_each(|(_, file)| sink_log::read(self.storage, file, visit))
    }

    fn is_complete(&self) -> Result<bool> {
        for (_, file) in &self.files {
            match self.storage.open(&file.name) {
                Ok(_) => {}
                Err(error) if error.kind() == NotFound => return Ok(false),
                Err(cause) => return Err(failed(self.storage, "read", &file.name, cause)),
            }
        }
        Ok(true)
    }

    fn remove(&self) -> Result<()> {
        self.files.iter().try_for_each(|(_, file)| {
            let removed = self.storage.delete(&file.name);
            removed.map_err(|cause| failed(self.storage, "remove", &file.name, cause))
        })
    }
}

/// A sink that writes logs, and who brings them to their place.
#[derive(Clone)]
pub struct LoggedSink {
    /// Where the logs lie.
    pub storage: Arc<dyn Storage>,
    committer: Arc<Mutex<dyn Committer>>,
}

/// The folder of a sink's logs.
pub fn log_folder(sink: &str) -> String {
    format!("sinks/{sink}/")
}

impl LoggedSink {
    /// A sink whose logs `committer` brings from `storage` to their place.
    pub fn new(storage: Arc<dyn Storage>, committer: impl Committer + 'static) -> Self {
        Self { storage, committer: Arc::new(Mutex::new(committer)) }
    }

    fn committer(&self) -> MutexGuard<'_, dyn Committer + 'static> {
        self.committer.lock().expect("nobody panics with this lock")
    }

    /// See [`Committer::claim`].
    pub(super) fn claim(&self) -> Result<()> {
        self.committer().claim()
    }

    /// See [`Committer::committed`].
    pub(super) fn committed(&self) -> Result<Option<Marker>> {
        self.committer().committed()
    }

    /// Commits those of the outputs that are logs of this sink, barrier by barrier.
    pub(super) fn commit(&self, sink: &str, outputs: &[&PreparedOutput]) -> Result<()> {
        // By checkpoint, the attempt and its logs by partition.
        type Barrier<'a> = (&'a str, Vec<(u32, &'a FileRef)>);
        let mut barriers: BTreeMap<u64, Barrier<'_>> = BTreeMap::new();
        for output in outputs {
            if let PreparedOutput::Log { sink: of, partition, checkpoint, attempt, file } = output
                && of == sink
            {
                let (_, files) =
                    barriers.entry(*checkpoint).or_insert_with(|| (attempt, Vec::new()));
                files.push((*partition, file));
            }
        }
        for (checkpoint, (attempt, mut files)) in barriers {
            files.sort_unstable_by_key(|(partition, _)| *partition);
            let marker = Marker { checkpoint, attempt: attempt.to_owned() };
            self.commit_barrier(&marker, &Logs { storage: &*self.storage, files })?;
        }
        Ok(())
    }

    fn commit_barrier(&self, marker: &Marker, logs: &Logs<'_>) -> Result<()> {
        let mut committer = self.committer();
        let is_committed = match committer.committed()? {
            Some(last) if last == *marker => true,
            // Logs are removed only once they are committed.
            Some(last) if last.checkpoint >= marker.checkpoint => !logs.is_complete()?,
            _ => false,
        };
        if !is_committed {
            committer.commit(marker, logs)?;
        }
        logs.remove()
    }

    /// Removes logs that will never be committed: all but those of `held`.
    pub(super) fn remove_leftovers(&self, sink: &str, held: &[PreparedOutput]) -> Result<()> {
        let folder = log_folder(sink);
        let is_held = |name: &str| {
            let is_it = |output: &PreparedOutput| match output {
                PreparedOutput::Log { file, .. } => file.name == name,
                PreparedOutput::File { .. } | PreparedOutput::Replace { .. } => false,
            };
            held.iter().any(is_it)
        };
        let failed = |cause| failed(&*self.storage, "remove logs in", &folder, cause);
        let files = self.storage.list(&folder).map_err(failed)?;
        let mut left = files.iter().filter(|file| !is_held(&file.name));
        left.try_for_each(|file| self.storage.delete(&file.name)).map_err(failed)
    }
}

fn failed(storage: &dyn Storage, verb: &str, name: &str, cause: io::Error) -> Error {
    Error::storage(format!("cannot {verb} {name} in {}", storage.root())).caused_by(cause)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::Commits;
    use crate::checkpoint::sink_log::LogWriter;
    use crate::checkpoint::storage::MemoryStorage;
    use crate::error::ErrorKind;

    /// What the system behind holds, and whether its next commit fails after or before it is done.
    #[derive(Default)]
    struct System {
        records: Vec<String>,
        marker: Option<Marker>,
        fails: Option<Fails>,
    }

    #[derive(Clone, Copy)]
    enum Fails {
        Before,
        After,
    }

    struct Client(Arc<Mutex<System>>);

    impl Committer for Client {
        fn claim(&mut self) -> Result<()> {
            Ok(())
        }

        fn committed(&mut self) -> Result<Option<Marker>> {
            Ok(self.0.lock().expect("one thread").marker.clone())
        }

        fn commit(&mut self, marker: &Marker, logs: &Logs<'_>) -> Result<()> {
            let mut system = self.0.lock().expect("one thread");
            let fails = system.fails.take();
            let failure = || Err(Error::storage("the connection broke"));
            if let Some(Fails::Before) = fails {
                return failure();
            }
            let mut records = Vec::new();
            logs.for_each(&mut |record| {
                records.push(String::from_utf8_lossy(record.value).into_owned());
                Ok(())
            })?;
            system.records.extend(records);
            system.marker = Some(marker.clone());
            if fails.is_some() { failure() } else { Ok(()) }
        }
    }

    struct Bench {
        system: Arc<Mutex<System>>,
        storage: Arc<MemoryStorage>,
        commits: Commits,
    }

    impl Bench {
        fn new() -> Self {
            let system = Arc::new(Mutex::new(System::default()));
            let storage = Arc::new(MemoryStorage::default());
            let sink = LoggedSink::new(storage.clone(), Client(system.clone()));
            let mut commits = Commits::default();
            commits.logs.insert("out".into(), sink);
            Self { system, storage, commits }
        }

        /// A log of one record that names it.
        fn log(&self, attempt: &str, partition: u32, checkpoint: u64) -> PreparedOutput {
            let name = format!("{}{attempt}-{partition}-{checkpoint}.log", log_folder("out"));
            let mut log = LogWriter::create(&*self.storage, &name).expect("made");
            let value = format!("{attempt}/{checkpoint}/{partition}");
            log.push(LogRecord { timestamp: 0, value: value.as_bytes() }).expect("written");
            let (writer, file) = log.seal().expect("written");
            writer.finish().expect("finished");
            let (sink, attempt) = ("out".into(), attempt.into());
            PreparedOutput::Log { sink, partition, checkpoint, attempt, file }
        }

        fn fail(&self, fails: Fails) {
            self.system.lock().expect("one thread").fails = Some(fails);
        }

        fn records(&self) -> Vec<String> {
            self.system.lock().expect("one thread").records.clone()
        }

        fn files(&self) -> usize {
            self.storage.list("sinks/").expect("it has files").len()
        }
    }

    #[test]
    fn commits_barrier_by_barrier_and_removes_the_logs() {
        let bench = Bench::new();
        let logs = [bench.log("a", 1, 2), bench.log("a", 0, 2), bench.log("a", 1, 1)];
        bench.commits.commit(&logs.each_ref()).expect("committed");
        assert_eq!(bench.records(), ["a/1/1", "a/2/0", "a/2/1"]);
        assert_eq!(bench.files(), 0);
    }

    #[test]
    fn a_commit_that_is_repeated_doubles_nothing() {
        for fails in [Fails::Before, Fails::After] {
            let bench = Bench::new();
            let logs = [bench.log("a", 0, 1), bench.log("a", 0, 2)];
            bench.fail(fails);
            bench.commits.commit(&logs.each_ref()).expect_err("the connection broke");
            bench.commits.commit(&logs.each_ref()).expect("it is back");
            assert_eq!(bench.records(), ["a/1/0", "a/2/0"]);
            // All of it once more, as after a crash that came after the commit.
            bench.commits.commit(&logs.each_ref()).expect("nothing is left to do");
            assert_eq!(bench.records().len(), 2);
        }
    }

    #[test]
    fn a_job_that_has_begun_anew_counts_from_one_again() {
        let bench = Bench::new();
        let log = bench.log("a", 0, 7);
        bench.commits.commit(&[&log]).expect("committed");
        let (first, second) = (bench.log("b", 0, 1), bench.log("b", 0, 7));
        bench.commits.commit(&[&first]).expect("committed");
        bench.commits.commit(&[&second]).expect("committed");
        assert_eq!(bench.records(), ["a/7/0", "b/1/0", "b/7/0"]);
    }

    #[test]
    fn a_log_that_is_gone_and_was_never_committed_is_corruption() {
        let bench = Bench::new();
        let log = bench.log("a", 0, 1);
        bench.commits.remove_leftovers(std::slice::from_ref(&log)).expect("nothing to remove");
        assert_eq!(bench.files(), 1);
        bench.commits.remove_leftovers(&[]).expect("removed");
        assert_eq!(bench.files(), 0);
        let error = bench.commits.commit(&[&log]).expect_err("it is gone");
        assert_eq!(error.kind, ErrorKind::Corruption, "{error}");
    }

    #[test]
    fn output_of_a_sink_that_the_job_lacks_is_refused() {
        let bench = Bench::new();
        let log = bench.log("a", 0, 1);
        let error = Commits::default().commit(&[&log]).expect_err("nobody writes it");
        assert!(error.message.contains("sink \"out\", which the job lacks"), "{error}");
    }
}
