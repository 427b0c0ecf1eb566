//! Finds checkpoints and savepoints in a storage, and removes those that are not wanted any more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind::NotADirectory, ErrorKind::NotFound};
use std::path::Path;
use std::sync::Arc;

use super::checked::read_file;
use super::code::read_component;
use super::manifest::{Kind, Manifest};
use super::reading;
use super::storage::{self, Below, Storage, in_folder, place_of};
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
    /// What it is, as its folder says.
    pub kind: Kind,
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
    let name = in_folder(folder, MANIFEST);
    storage::put(storage, &name, &manifest.encode()).map_err(|cause| {
        Error::storage(format!("cannot write {name} to {}", storage.root())).caused_by(cause)
    })
}

fn read(storage: Arc<dyn Storage>, folder: &str) -> Result<Located> {
    let name = in_folder(folder, MANIFEST);
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

/// The folders of checkpoints and savepoints among these files, and whether each is complete.
fn folders_of(names: &[String]) -> BTreeMap<(Kind, u64), bool> {
    let mut folders = BTreeMap::new();
    for (kind, id, file) in names.iter().filter_map(|name| folder_of(name)) {
        *folders.entry((kind, id)).or_default() |= file == MANIFEST;
    }
    folders
}

/// The numbers of checkpoints, without savepoints, of which `is_wanted` holds: given the number and
/// whether it is complete.
fn checkpoints_of(names: &[String], is_wanted: impl Fn(u64, bool) -> bool) -> Vec<u64> {
    let folders = folders_of(names).into_iter();
    let checkpoints = folders.filter(|((kind, _), _)| *kind == Kind::Checkpoint);
    let wanted = checkpoints.filter(|((_, id), complete)| is_wanted(*id, *complete));
    wanted.map(|((_, id), _)| id).collect()
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
        let newest = folders_of(&self.names()?).into_keys().map(|(_, id)| id).max();
        Ok(newest.max(self.finished()?).unwrap_or(0))
    }

    /// The last checkpoint of the newest run that came to its end; none if there was no such run.
    ///
    /// # Errors
    /// If the storage fails, or what it holds is not what was written.
    pub fn finished(&self) -> Result<Option<u64>> {
        let place = format!("{}/{FINISHED}", self.storage.root());
        match storage::get(&*self.storage, FINISHED) {
            Ok(file) => Ok(Some(Manifest::decode(&file, &place).map_err(without_end)?.id)),
            Err(error) if error.kind() == NotFound => Ok(None),
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
            swap: None,
        };
        let written = storage::put(&*self.storage, FINISHED, &end.encode());
        written.map_err(|cause| self.failed("write the end of the job", cause))?;
        self.delete_checkpoints()
    }

    /// The numbers of checkpoints, without savepoints, above this one.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn checkpoints_after(&self, after: u64) -> Result<Vec<u64>> {
        Ok(checkpoints_of(&self.names()?, |id, _| id > after))
    }

    /// All complete checkpoints and savepoints, by number.
    ///
    /// # Errors
    /// If the storage fails. A manifest that cannot be read is an entry with its error.
    pub fn entries(&self) -> Result<Vec<Candidate>> {
        let folders = folders_of(&self.names()?).into_iter();
        let complete = folders.filter(|(_, complete)| *complete);
        let mut entries: Vec<Candidate> =
            complete.map(|((kind, id), _)| self.entry(kind, id)).collect();
        entries.sort_by_key(|entry| entry.id);
        Ok(entries)
    }

    /// What there is, for hints: `chk-1, chk-2`. None if there is nothing, or if the storage fails.
    pub fn names_of_entries(&self) -> Option<String> {
        let entries = self.entries().ok()?;
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    fn entry(&self, kind: Kind, id: u64) -> Candidate {
        let (name, located) = match kind {
            Kind::Checkpoint => {
                let name = format!("chk-{id}");
                let located = read(self.storage.clone(), &name);
                (name, located)
            }
            Kind::Savepoint => {
                let name = savepoint_folder(id);
                let storage = Below::new(self.storage.clone(), &name);
                (name, read(Arc::new(storage), ""))
            }
        };
        Candidate { kind, id, name, located }
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
            entries.sort_by_key(|entry| entry.kind == Kind::Savepoint);
        }
        Ok(entries)
    }

    /// Removes all but the newest `keep` checkpoints and the `pinned` one, and what is left of those
    /// that were given up.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn prune(&self, keep: usize, given_up: &[u64], pinned: Option<u64>) -> Result<()> {
        let names = self.names()?;
        let complete = checkpoints_of(&names, |id, complete| complete && Some(id) != pinned);
        let old = &complete[..complete.len().saturating_sub(keep)];
        let unwanted: Vec<u64> = old.iter().chain(given_up).copied().collect();
        if unwanted.is_empty() { Ok(()) } else { self.delete_among(&names, &unwanted) }
    }

    /// Removes all checkpoints; savepoints stay.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn delete_checkpoints(&self) -> Result<()> {
        let names = self.names()?;
        self.delete_among(&names, &checkpoints_of(&names, |_, _| true))
    }

    /// Removes checkpoints, complete or not, and files that no other checkpoint shares with them.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn delete(&self, ids: &[u64]) -> Result<()> {
        self.delete_among(&self.names()?, ids)
    }

    fn delete_among(&self, names: &[String], ids: &[u64]) -> Result<()> {
        self.delete_folders(names, ids)?;
        self.delete_unshared(names, ids.iter().max().copied().unwrap_or(0))
    }

    fn delete_folders(&self, names: &[String], ids: &[u64]) -> Result<()> {
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
        Ok(())
    }

    /// Removes shared files that were uploaded for this checkpoint or an older one and that no
    /// complete checkpoint uses. Younger ones may belong to a checkpoint under way.
    fn delete_unshared(&self, names: &[String], last: u64) -> Result<()> {
        if !names.iter().any(|name| name.starts_with(SHARED)) {
            return Ok(());
        }
        let mut used = BTreeSet::new();
        for entry in self.entries()? {
            // What a manifest uses that cannot be read is not known: nothing shared is removed.
            let Ok(located) = entry.located else { return Ok(()) };
            used.extend(located.manifest.files().map(|file| file.name.clone()));
        }
        for name in names.iter().filter(|name| name.starts_with(SHARED) && !used.contains(*name)) {
            if shared_since(name).is_some_and(|since| since <= last) {
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
        let finished = self.finished()?.unwrap_or(0);
        let unwanted = checkpoints_of(&names, |id, complete| !complete || id <= finished);
        self.delete_folders(&names, &unwanted)?;
        self.delete_unshared(&names, u64::MAX)
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

/// Finds the checkpoint or savepoint that a user means by a path or URL.
///
/// # Errors
/// If there is none, or if it cannot be read.
pub fn locate(url: &str) -> Result<Located> {
    let url = url.trim_end_matches('/');
    let url = url.strip_suffix(MANIFEST).map_or(url, |folder| folder.trim_end_matches('/'));
    let here = Path::new("");
    let storage = storage::open(url, here)?;
    let is_there = |storage: &dyn Storage| match storage.open(MANIFEST) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => Ok(false),
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
        return read(storage::open(above, here)?, last);
    }
    read(storage, "")
}

/// The end of the last run is not known: only the user can say what that means.
fn without_end(error: Error) -> Error {
    if error.kind != ErrorKind::Corruption {
        return error;
    }
    error.hint(
        "it says that the job has come to its end; if it has not, remove the file, or remove its \
         whole folder to begin anew",
    )
}

fn no_checkpoint(url: &str, storage: Arc<dyn Storage>) -> Error {
    let error = Error::input(format!("{url} is no checkpoint or savepoint: it has no manifest"));
    let root = storage.root();
    let above = root.rsplit_once('/').and_then(|(above, _)| storage::open(above, "".as_ref()).ok());
    for storage in std::iter::once(storage).chain(above) {
        let root = storage.root();
        if let Some(names) = Catalog::new(storage).names_of_entries() {
            return error.hint(format!("{root} holds {names}: name one of them"));
        }
    }
    error.hint("name a folder chk-N, or the folder of a savepoint")
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
        let all = 0..u32::MAX;
        let operators = &self.manifest.operators;
        for partition in operators.iter().flat_map(|operator| &operator.partitions) {
            reading::read_entries(&*self.storage, &partition.entries, &all, |_, _| Ok(()))?;
            let tables = partition.tables.iter().flatten().map(|table| &table.file);
            for file in tables.chain(&partition.operator_entries) {
                read_file(&*self.storage, file, |_| Ok(()))?;
            }
        }
        for component in self.manifest.components() {
            read_component(&*self.storage, component)?;
        }
        let files = self.manifest.files();
        Ok(files.fold(Verified::default(), |sum, file| Verified {
            files: sum.files + 1,
            bytes: sum.bytes + file.bytes,
        }))
    }

    /// Makes sure that it outlives a crash of the machine, before anything is done that follows
    /// from it.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn settle(&self) -> Result<()> {
        self.storage.settle(&in_folder(&self.folder, MANIFEST)).map_err(|cause| {
            Error::storage(format!("cannot make {} durable", self.place())).caused_by(cause)
        })
    }

    /// Its place, for messages.
    pub fn place(&self) -> String {
        place_of(&*self.storage, &self.folder)
    }
}
