//! The folder in which the stores of one attempt live.
//!
//! A process that is killed leaves its folder behind. So each has a lock file beside it, held as
//! long as its owner lives and let go of by the system otherwise; whoever makes the next folder
//! removes those whose lock it gets. The lock file comes before its folder and goes after it, so
//! that there is no moment at which a folder has none.

use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

const PREFIX: &str = "tidegate-";

const LOCK: &str = "lock";

/// How many folders this process has made.
static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder that is removed with this value, or by the next one beside it if the process is killed.
#[derive(Debug)]
pub struct WorkingFolder {
    path: PathBuf,
    /// Held while this lives.
    _lock: File,
}

impl WorkingFolder {
    /// Makes an empty folder `tidegate-<job>-<process>-<n>` below `parent`, which is made if it is
    /// missing. Nobody but the user can look into it. First removes the folders of dead processes.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn create(parent: &Path, job: &str) -> Result<Self> {
        let made = fs::create_dir_all(parent).and_then(|()| {
            remove_dead(parent)?;
            Self::create_in(parent, job)
        });
        made.map_err(|cause| {
            let message = format!("cannot make a folder for state in {}", parent.display());
            Error::storage(message)
                .hint("set `state.directory` to a folder that can be written")
                .caused_by(cause)
        })
    }

    fn create_in(parent: &Path, job: &str) -> io::Result<Self> {
        loop {
            // Never twice in a process: RocksDB refuses to open a store at a path where another one
            // is still being closed, though its files are gone.
            let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{PREFIX}{job}-{}-{number}", process::id()));
            let lock_path = path.with_extension(LOCK);
            let lock = match File::create_new(&lock_path) {
                Err(cause) if cause.kind() == ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            // Another process may have taken the new file for one of the dead, and remove it.
            if lock.try_lock().is_err() || !is_at(&lock, &lock_path) {
                continue;
            }
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, _lock: lock }),
                Err(cause) => {
                    remove(&lock_path);
                    if cause.kind() != ErrorKind::AlreadyExists {
                        return Err(cause);
                    }
                }
            }
        }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkingFolder {
    fn drop(&mut self) {
        remove_folder(&self.path);
    }
}

/// Removes the folders whose owners are dead.
fn remove_dead(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
        let path = entry.path();
        if !is_ours || path.extension().is_none_or(|extension| extension != LOCK) {
            continue;
        }
        // One that cannot be opened belongs to another user, or has just gone.
        if let Ok(lock) = File::open(&path)
            && lock.try_lock().is_ok()
            && is_at(&lock, &path)
        {
            remove_folder(&path.with_extension(""));
        }
    }
    Ok(())
}

/// Whether an open file is the one at a path: it may have been removed since it was opened, and
/// another made under its name.
fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let open = file.metadata().map(identity);
    matches!((open, fs::metadata(path).map(identity)), (Ok(open), Ok(there)) if open == there)
}

/// Removes a folder and, once it is gone, its lock file. The caller holds the lock. What cannot be
/// removed is tried again by the next process.
fn remove_folder(path: &Path) {
    match fs::remove_dir_all(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => {}
        _ => remove(&path.with_extension(LOCK)),
    }
}

/// Removes a lock file, if it is there.
fn remove(lock: &Path) {
    let _ = fs::remove_file(lock);
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(parent: &Path) -> Vec<String> {
        let entries = fs::read_dir(parent).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn with_parent(name: &str, test: impl FnOnce(&Path)) {
        let parent = std::env::temp_dir().join(format!("tidegate-w{}-{name}", process::id()));
        test(&parent.join("state"));
        fs::remove_dir_all(&parent).unwrap();
    }

    #[test]
    fn those_who_come_and_go_leave_others_alone() {
        with_parent("many", |parent| {
            let come_and_go = || {
                for _ in 0..300 {
                    let folder = WorkingFolder::create(parent, "job").unwrap();
                    let file = folder.path().join("file");
                    fs::write(&file, "mine").expect("my folder is there");
                    assert_eq!(fs::read_to_string(&file).expect("and stays"), "mine");
                }
            };
            std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(come_and_go))));
            assert!(names(parent).is_empty());
        });
    }

    #[test]
    fn two_of_a_job_live_side_by_side_and_go_with_their_owners() {
        with_parent("two", |parent| {
            let first = WorkingFolder::create(parent, "job").unwrap();
            fs::write(first.path().join("table"), "x").unwrap();
            let second = WorkingFolder::create(parent, "job").unwrap();
            let name = |folder: &WorkingFolder| folder.path().display().to_string();
            let stem = parent.join(format!("tidegate-job-{}-", process::id()));
            assert!(name(&first).starts_with(&stem.display().to_string()));
            let files = |folder: &WorkingFolder| {
                let name = folder.path().file_name().unwrap().to_str().unwrap();
                [name.to_owned(), format!("{name}.lock")]
            };
            let mut expected = [files(&first), files(&second)].concat();
            expected.sort();
            assert_eq!(names(parent), expected);
            assert_eq!(fs::metadata(first.path()).unwrap().permissions().mode() & 0o777, 0o700);
            drop(first);
            assert_eq!(names(parent), files(&second));
            drop(second);
            assert!(names(parent).is_empty());
        });
    }

    #[test]
    fn the_folders_of_the_dead_are_removed_and_nothing_else() {
        with_parent("dead", |parent| {
            // As a killed process leaves it: nobody holds the lock.
            fs::create_dir_all(parent.join("tidegate-old-1-0/count-0")).unwrap();
            fs::write(parent.join("tidegate-old-1-0.lock"), "").unwrap();
            // Killed before it made its folder.
            fs::write(parent.join("tidegate-old-2-0.lock"), "").unwrap();
            fs::create_dir(parent.join("tidegate-notes")).unwrap();
            fs::write(parent.join("other.lock"), "").unwrap();
            let kept = WorkingFolder::create(parent, "job").unwrap();
            let own = kept.path().file_name().unwrap().to_str().unwrap();
            let expected = ["other.lock", own, &format!("{own}.lock"), "tidegate-notes"];
            assert_eq!(names(parent), expected);
        });
    }

    #[test]
    fn a_place_that_cannot_be_written_is_an_error_with_a_way_out() {
        with_parent("file", |parent| {
            fs::create_dir_all(parent.parent().unwrap()).unwrap();
            fs::write(parent, "").unwrap();
            let error = WorkingFolder::create(parent, "job").unwrap_err();
            assert!(error.message.ends_with("state"), "{error}");
            assert!(error.hint.unwrap().contains("state.directory"));
        });
    }
}
