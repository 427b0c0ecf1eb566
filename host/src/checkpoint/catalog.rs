//! Finds checkpoints and savepoints in a storage, and removes those that are not wanted any more.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::manifest::{Kind, Manifest};
use super::state_file;
use super::storage::{self, Below, Storage};
use crate::error::{Error, ErrorKind, Result};

/// The name of every manifest within its folder.
pub const MANIFEST: &str = "manifest";

/// The file that says that a run of the job came to its end. What is older is no place to go on
/// from: its output would be repeated.
const FINISHED: &str = "finished";

/// The folder of files that checkpoints share.
const SHARED: &str = "shared/";

/// A manifest, and the storage that the names in it are relative to.
#[derive(Clone)]
pub struct Located {
    /// What it says.
    pub manifest: Manifest,
    /// Where its files are.
    pub storage: Arc<dyn Storage>,
    /// Its folder there; empty for the root.
    pub folder: String,
}

/// A checkpoint or savepoint of a catalog.
pub struct Candidate {
    /// Its number, as its folder says.
    pub id: u64,
    /// Its folder: `chk-17`.
    pub name: String,
    /// What it holds, or why it cannot be read.
    pub located: Result<Located>,
}

/// The checkpoints of a job, and the savepoints that lie among them.
#[derive(Clone)]
pub struct Catalog {
    /// Where they lie.
    pub storage: Arc<dyn Storage>,
}

/// Writes the manifest of a checkpoint, whose files are all there: from now on it exists.
///
/// # Errors
/// If the storage fails. It may exist then.
pub fn write(storage: &dyn Storage, folder: &str, manifest: &Manifest) -> Result<()> {
    let name = in_folder(folder);
    storage::put(storage, &name, &manifest.encode()).map_err(|cause| {
        Error::storage(format!("cannot write {name} to {}", storage.root())).caused_by(cause)
    })
}

fn in_folder(folder: &str) -> String {
    if folder.is_empty() { MANIFEST.into() } else { format!("{folder}/{MANIFEST}") }
}

fn read(storage: Arc<dyn Storage>, folder: &str) -> Result<Located> {
    let name = in_folder(folder);
    let place = format!("{}/{name}", storage.root());
    let file = storage::get(&*storage, &name)
        .map_err(|cause| Error::storage(format!("cannot read {place}")).caused_by(cause))?;
    let manifest = Manifest::decode(&file, &place)?;
    Ok(Located { manifest, storage, folder: folder.to_owned() })
}

/// The kind and number of the folder that a file lies in.
fn folder_of(name: &str) -> Option<(Kind, u64, &str)> {
    let (kind, rest) = match name.strip_prefix("savepoints/") {
        Some(rest) => (Kind::Savepoint, rest.strip_prefix("sp-")?),
        None => (Kind::Checkpoint, name.strip_prefix("chk-")?),
    };
    let (number, file) = rest.split_once('/')?;
    Some((kind, number.parse().ok()?, file))
}

impl Catalog {
    /// The catalog of a storage.
    pub fn new(storage: Arc<dyn Storage>) -> Self {
        Self { storage }
    }

    fn failed(&self, verb: &str, cause: io::Error) -> Error {
        Error::storage(format!("cannot {verb} in {}", self.storage.root())).caused_by(cause)
    }

    fn names(&self) -> Result<Vec<String>> {
        let files = self.storage.list("").map_err(|cause| self.failed("list files", cause))?;
        Ok(files.into_iter().map(|file| file.name).collect())
    }

    /// The highest number of any checkpoint or savepoint, complete or not; 0 if there is none.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn newest_id(&self) -> Result<u64> {
        let names = self.names()?;
        let newest = names.iter().filter_map(|name| folder_of(name)).map(|(_, id, _)| id).max();
        Ok(newest.max(self.finished()?).unwrap_or(0))
    }

    /// The last checkpoint of the newest run that came to its end; none if there was no such run.
    ///
    /// # Errors
    /// If the storage fails, or what it holds is not what was written.
    pub fn finished(&self) -> Result<Option<u64>> {
        let place = format!("{}/{FINISHED}", self.storage.root());
        match storage::get(&*self.storage, FINISHED) {
            Ok(file) => Ok(Some(Manifest::decode(&file, &place)?.id)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(Error::storage(format!("cannot read {place}")).caused_by(cause)),
        }
    }

    /// Takes note that the job has come to its end with the checkpoint of this number, and removes
    /// its checkpoints.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn finish(&self, id: u64, job: &str, now: i64) -> Result<()> {
        let end = Manifest {
            id,
            kind: Kind::Checkpoint,
            job: job.to_owned(),
            completed_ms: now,
            written_by: super::WRITTEN_BY.into(),
            max_parallelism: 0,
            sources: Vec::new(),
            operators: Vec::new(),
            outputs: Vec::new(),
        };
        let written = storage::put(&*self.storage, FINISHED, &end.encode());
        written.map_err(|cause| self.failed("write the end of the job", cause))?;
        self.delete_checkpoints()
    }

    /// All complete checkpoints and savepoints, by number.
    ///
    /// # Errors
    /// If the storage fails. A manifest that cannot be read is an entry with its error.
    pub fn entries(&self) -> Result<Vec<Candidate>> {
        let names = self.names()?;
        let folders = names.iter().filter_map(|name| folder_of(name));
        let complete = folders.filter(|(.., file)| *file == MANIFEST);
        let mut entries: Vec<Candidate> =
            complete.map(|(kind, id, _)| self.entry(kind, id)).collect();
        entries.sort_by_key(|entry| entry.id);
        Ok(entries)
    }

    fn entry(&self, kind: Kind, id: u64) -> Candidate {
        match kind {
            Kind::Checkpoint => {
                let name = format!("chk-{id}");
                let located = read(self.storage.clone(), &name);
                Candidate { id, name, located }
            }
            Kind::Savepoint => {
                let name = savepoint_folder(id);
                let storage = Below::new(self.storage.clone(), &name);
                Candidate { id, name, located: read(Arc::new(storage), "") }
            }
        }
    }

    /// What a job may go on from, the best first: the newest, or with `prefer_checkpoint` the
    /// newest checkpoint even if a savepoint is newer. Nothing from before the end of a run that
    /// finished.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn restore_candidates(&self, prefer_checkpoint: bool) -> Result<Vec<Candidate>> {
        let finished = self.finished()?.unwrap_or(0);
        let mut entries = self.entries()?;
        entries.retain(|entry| entry.id > finished);
        entries.reverse();
        if prefer_checkpoint {
            entries.sort_by_key(|entry| entry.name.starts_with("savepoints/"));
        }
        Ok(entries)
    }

    /// Removes all but the newest `keep` checkpoints, and what is left of those that were given up.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn prune(&self, keep: usize, given_up: &[u64]) -> Result<()> {
        let entries = self.entries()?;
        let is_checkpoint = |entry: &&Candidate| entry.name.starts_with("chk-");
        let checkpoints: Vec<u64> =
            entries.iter().filter(is_checkpoint).map(|entry| entry.id).collect();
        let old = &checkpoints[..checkpoints.len().saturating_sub(keep)];
        let unwanted: Vec<u64> = old.iter().chain(given_up).copied().collect();
        if unwanted.is_empty() { Ok(()) } else { self.delete(&unwanted) }
    }

    /// Removes all checkpoints; savepoints stay.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn delete_checkpoints(&self) -> Result<()> {
        let names = self.names()?;
        let folders = names.iter().filter_map(|name| folder_of(name));
        let checkpoints = folders.filter(|(kind, ..)| *kind == Kind::Checkpoint);
        let ids: BTreeSet<u64> = checkpoints.map(|(_, id, _)| id).collect();
        self.delete(&ids.into_iter().collect::<Vec<_>>())
    }

    /// Removes checkpoints, complete or not, and files that no other checkpoint shares with them.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn delete(&self, ids: &[u64]) -> Result<()> {
        let names = self.names()?;
        // The manifest goes first: what is removed in part must not look complete.
        let of_them = |name: &&String| {
            folder_of(name)
                .is_some_and(|(kind, id, _)| kind == Kind::Checkpoint && ids.contains(&id))
        };
        let mut unwanted: Vec<&String> = names.iter().filter(of_them).collect();
        unwanted.sort_by_key(|name| !name.ends_with(MANIFEST));
        for name in unwanted {
            self.storage.delete(name).map_err(|cause| self.failed("delete", cause))?;
        }
        self.delete_unshared(&names, ids)
    }

    /// Removes shared files that only these checkpoints, which are gone, or none could use. Files
    /// that are newer than the newest complete checkpoint may belong to one under way.
    fn delete_unshared(&self, names: &[String], gone: &[u64]) -> Result<()> {
        if !names.iter().any(|name| name.starts_with(SHARED)) {
            return Ok(());
        }
        let mut used = BTreeSet::new();
        for entry in self.entries()? {
            // What a manifest uses that cannot be read is not known: nothing shared is removed.
            let Ok(located) = entry.located else { return Ok(()) };
            used.extend(located.manifest.files().map(|file| file.name.clone()));
        }
        let last_gone = gone.iter().max().copied().unwrap_or(0);
        for name in names.iter().filter(|name| name.starts_with(SHARED) && !used.contains(*name)) {
            if shared_since(name).is_some_and(|since| since <= last_gone) {
                self.storage.delete(name).map_err(|cause| self.failed("delete", cause))?;
            }
        }
        Ok(())
    }

    /// Removes what runs have left behind that did not end well: checkpoints without a manifest or
    /// from before the end of a run, and shared files that no checkpoint uses. Nobody may be
    /// writing.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn sweep(&self) -> Result<()> {
        let removed = self.storage.remove_unfinished();
        removed.map_err(|cause| self.failed("remove unfinished files", cause))?;
        let names = self.names()?;
        let mut complete: BTreeMap<u64, bool> = BTreeMap::new();
        for (kind, id, file) in names.iter().filter_map(|name| folder_of(name)) {
            if kind == Kind::Checkpoint {
                *complete.entry(id).or_default() |= file == MANIFEST;
            }
        }
        let finished = self.finished()?.unwrap_or(0);
        let unwanted = complete.iter().filter(|(id, complete)| !**complete || **id <= finished);
        self.delete(&unwanted.map(|(&id, _)| id).collect::<Vec<_>>())?;
        self.delete_unshared(&names, &[u64::MAX])
    }
}

/// The folder of a savepoint that was given no place.
pub fn savepoint_folder(id: u64) -> String {
    format!("savepoints/sp-{id}")
}

/// The checkpoint that a shared file was uploaded for, which its name says.
fn shared_since(name: &str) -> Option<u64> {
    name.strip_prefix(SHARED)?.split('-').next()?.parse().ok()
}

/// Finds the checkpoint or savepoint that a user means by a path or URL; relative paths start from
/// `folder`.
///
/// # Errors
/// If there is none, or if it cannot be read.
pub fn locate(url: &str, folder: &Path) -> Result<Located> {
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix(MANIFEST).map_or(url, |folder| folder.trim_end_matches('/'));
    let storage = storage::open(url, folder)?;
    let is_there = |storage: &dyn Storage| match storage.open(MANIFEST) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(cause) => {
            let root = storage.root();
            Err(Error::storage(format!("cannot read {MANIFEST} in {root}")).caused_by(cause))
        }
    };
    if !is_there(&*storage)? {
        return Err(no_checkpoint(url, storage));
    }
    // The files of a checkpoint are named from the folder above: some are shared.
    let root = storage.root();
    let (above, last) = root.rsplit_once('/').unwrap_or(("", &root));
    if last.starts_with("chk-") {
        return read(storage::open(above, folder)?, last);
    }
    read(storage, "")
}

fn no_checkpoint(url: &str, storage: Arc<dyn Storage>) -> Error {
    let error = Error::input(format!("{url} is no checkpoint or savepoint: it has no manifest"));
    match Catalog::new(storage).entries() {
        Ok(entries) if !entries.is_empty() => {
            let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            error.hint(format!("it holds {}: name one of them", names.join(", ")))
        }
        _ => error.hint("name a folder chk-N, or the folder of a savepoint"),
    }
}

/// What a verification has read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verified {
    /// Files, without the manifest.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Located {
    /// Reads every file and compares it with what the manifest says.
    ///
    /// # Errors
    /// `Corruption` at the first file that is not what was written.
    pub fn verify(&self) -> Result<Verified> {
        let mut verified = Verified::default();
        for file in self.manifest.files() {
            if file.name.ends_with(".state") {
                state_file::read_chunks(&*self.storage, file, |_, entries| {
                    check_entries(&file.name, entries)
                })?;
            } else {
                state_file::read_file(&*self.storage, file, |_| Ok(()))?;
            }
            verified.files += 1;
            verified.bytes += file.bytes;
        }
        Ok(verified)
    }

    /// Makes sure that it outlives a crash of the machine, before anything is done that follows
    /// from it.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn settle(&self) -> Result<()> {
        self.storage.settle(&in_folder(&self.folder)).map_err(|cause| {
            Error::storage(format!("cannot make {} durable", self.place())).caused_by(cause)
        })
    }

    /// Its place, for messages.
    pub fn place(&self) -> String {
        let root = self.storage.root();
        if self.folder.is_empty() { root } else { format!("{root}/{}", self.folder) }
    }
}

fn check_entries(file: &str, entries: &[u8]) -> Result<()> {
    match crate::state::entry::read(entries).find_map(std::result::Result::err) {
        None => Ok(()),
        Some(_) => {
            let message = format!("{file} holds entries that cannot be read");
            Err(Error::new(ErrorKind::Corruption, message))
        }
    }
}
