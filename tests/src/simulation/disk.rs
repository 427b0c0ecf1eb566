//! A disk that fails, forgets what was not synced, and stops at a chosen operation.
//!
//! Written bytes are lost at a crash, or torn, unless their file was synced; a name in a folder
//! goes back to what it was, unless the folder was synced. Names of one folder are lost from the
//! newest on, as with a journal.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tidegate::checkpoint::storage::{Disk, DiskEntry, DiskFile};

use crate::random::Random;

/// What a file holds.
#[derive(Debug, Clone, Default)]
struct Content {
    written: Vec<u8>,
    /// So many bytes survive a crash.
    synced: usize,
}

type Inode = usize;

/// A change of the names in a folder that no sync has made durable.
#[derive(Debug, Clone)]
enum Change {
    Link(PathBuf, Inode),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, Inode>,
    durable: BTreeMap<PathBuf, Inode>,
    /// By folder.
    pending: BTreeMap<PathBuf, Vec<Change>>,
    operations: u64,
    faults: Faults,
    crashed: bool,
    /// What happened, for people.
    story: Vec<String>,
}

/// What goes wrong from now on.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// One operation in so many fails; 0 = none.
    pub one_in: u64,
    /// The operation at which everything stops, counted from the start of the disk.
    pub crash_at: Option<u64>,
    /// Where the numbers come from.
    pub seed: u64,
}

/// A simulated disk. Clones are the same disk.
#[derive(Debug, Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

fn apply(names: &mut BTreeMap<PathBuf, Inode>, change: &Change) {
    match change {
        Change::Link(path, inode) => {
            names.insert(path.clone(), *inode);
        }
        Change::Unlink(path) => {
            names.remove(path);
        }
        Change::Rename(from, to) => {
            if let Some(inode) = names.remove(from) {
                names.insert(to.clone(), inode);
            }
        }
    }
}

impl SimDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nobody panics with this lock")
    }

    /// Sets what goes wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// How many operations there were.
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// Whether everything has stopped.
    pub fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Starts again after a crash: of the process, which loses nothing that was written, or of the
    /// machine.
    pub fn restart(&self, machine: bool, random: &mut Random) {
        let mut state = self.state();
        state.crashed = false;
        state.faults = Faults::default();
        let State { contents, names, durable, pending, .. } = &mut *state;
        if !machine {
            return;
        }
        for content in contents.iter_mut() {
            let unsynced = (content.written.len() - content.synced) as i64;
            let kept = content.synced + random.between(0, unsynced) as usize;
            content.written.truncate(kept);
            // A block that was allocated but not written reads as zeros.
            if kept > content.synced && random.once_in(2) {
                let last = content.written.len() - 1;
                content.written[last] = 0;
            }
            content.synced = kept;
        }
        for changes in pending.values() {
            let kept = random.between(0, changes.len() as i64) as usize;
            changes[..kept].iter().for_each(|change| apply(durable, change));
        }
        pending.clear();
        names.clone_from(durable);
    }

    /// Adds a line to the story of what happened.
    pub fn tell(&self, line: &str) {
        let mut state = self.state();
        let operation = state.operations;
        state.story.push(format!("{operation:>6} {line}"));
    }

    /// What happened: each change of a name, with the number of its operation, and what was told.
    pub fn story(&self) -> String {
        self.state().story.join("\n")
    }

    /// The files below a folder by their names from there, as a reader sees them.
    pub fn files(&self, folder: &Path) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let inside = state.names.iter().filter_map(|(path, inode)| {
            let name = path.strip_prefix(folder).ok()?.to_string_lossy().into_owned();
            Some((name, state.contents[*inode].written.clone()))
        });
        inside.collect()
    }
}

/// What becomes of an operation.
#[derive(PartialEq, Eq)]
enum Fate {
    Done,
    /// It fails and has no effect.
    Failed,
    /// It has its effect, but is reported as failed.
    DoneButFailed,
}

impl State {
    fn fate(&mut self) -> Fate {
        if self.crashed {
            return Fate::Failed;
        }
        self.operations += 1;
        let mut random = Random::new(self.faults.seed ^ (self.operations << 20));
        if self.faults.crash_at == Some(self.operations) {
            self.crashed = true;
        } else if self.faults.one_in == 0 || !random.once_in(self.faults.one_in as i64) {
            return Fate::Done;
        }
        if random.once_in(2) { Fate::Failed } else { Fate::DoneButFailed }
    }

    /// Does `what` as its fate has it.
    fn attempt<T>(&mut self, what: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        let fate = self.fate();
        if fate == Fate::Failed {
            return Err(failure());
        }
        let done = what(self)?;
        if fate == Fate::Done { Ok(done) } else { Err(failure()) }
    }

    fn change(&mut self, folder: &Path, change: Change) {
        apply(&mut self.names, &change);
        let operation = self.operations;
        self.story.push(format!("{operation:>6} {change:?}"));
        self.pending.entry(folder.to_owned()).or_default().push(change);
    }
}

fn failure() -> io::Error {
    io::Error::other("the simulated disk fails")
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

fn folder_of(path: &Path) -> PathBuf {
    path.parent().expect("a file lies in a folder").to_owned()
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let inode = self.state().attempt(|state| {
            state.contents.push(Content::default());
            let inode = state.contents.len() - 1;
            state.change(&folder_of(path), Change::Link(path.to_owned(), inode));
            Ok(inode)
        })?;
        Ok(Box::new(SimFile { disk: self.clone(), inode }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.state().attempt(|state| {
            let inode = *state.names.get(path).ok_or_else(missing)?;
            let bytes = state.contents[inode].written.clone();
            Ok(Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>)
        })
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.state().names.keys().any(|name| name != path && name.starts_with(path))
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<DiskEntry>> {
        self.state().attempt(|state| {
            let mut entries: BTreeMap<String, Option<u64>> = BTreeMap::new();
            for (path, inode) in &state.names {
                let Ok(below) = path.strip_prefix(folder) else { continue };
                let mut parts = below.components();
                let Some(first) = parts.next() else { continue };
                let name = first.as_os_str().to_string_lossy().into_owned();
                let length = state.contents[*inode].written.len() as u64;
                let is_file = parts.next().is_none();
                entries.insert(name, is_file.then_some(length));
            }
            if entries.is_empty() {
                return Err(missing());
            }
            let entry = |(name, bytes)| DiskEntry { name, bytes };
            Ok(entries.into_iter().map(entry).collect())
        })
    }

    fn make_folder(&self, _folder: &Path) -> io::Result<()> {
        // Folders are there as long as files are in them.
        self.state().attempt(|_| Ok(()))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.state().attempt(|state| {
            if !state.names.contains_key(from) {
                return Err(missing());
            }
            assert_eq!(folder_of(from), folder_of(to), "nothing is moved between folders");
            state.change(&folder_of(to), Change::Rename(from.to_owned(), to.to_owned()));
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.state().attempt(|state| {
            if !state.names.contains_key(path) {
                return Err(missing());
            }
            state.change(&folder_of(path), Change::Unlink(path.to_owned()));
            Ok(())
        })
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.state().attempt(|state| {
            let is_empty = !state.names.keys().any(|name| name.starts_with(path));
            if is_empty { Ok(()) } else { Err(io::Error::other("the folder is not empty")) }
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.state().attempt(|state| {
            let changes = state.pending.remove(folder).unwrap_or_default();
            changes.iter().for_each(|change| apply(&mut state.durable, change));
            Ok(())
        })
    }
}

struct SimFile {
    disk: SimDisk,
    inode: Inode,
}

impl DiskFile for SimFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let inode = self.inode;
        self.disk.state().attempt(|state| {
            state.contents[inode].written.extend_from_slice(bytes);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        let inode = self.inode;
        self.disk.state().attempt(|state| {
            let content = &mut state.contents[inode];
            content.synced = content.written.len();
            Ok(())
        })
    }
}
