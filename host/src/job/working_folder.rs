//! The folder in which the stores of a run live while it runs: local, fast, and worth nothing once
//! the run is over.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, Result};

const PREFIX: &str = "tidegate-state-";

/// The file in each whose lock says that its run lives.
const LOCK: &str = "lock";

/// A folder that is removed with this value. One that a run leaves behind that is killed is removed
/// by the next.
#[derive(Debug)]
pub(super) struct WorkingFolder {
    path: PathBuf,
    _lock: File,
}

impl WorkingFolder {
    /// Makes a folder below `parent`, or below the system's for temporary files, and removes those
    /// of runs that are dead.
    ///
    /// # Errors
    /// If there can be no such folder.
    pub(super) fn new(parent: Option<&Path>) -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{PREFIX}{}-{number}", std::process::id()));
        let made = fs::create_dir_all(&parent).and_then(|()| {
            remove_dead(&parent)?;
            fs::create_dir_all(&path)?;
            let lock = File::create(path.join(LOCK))?;
            lock.lock()?;
            Ok(lock)
        });
        let lock = made.map_err(|cause| {
            let message = format!("cannot keep state in {}", parent.display());
            let hint = "name another folder in state.directory";
            Error::storage(message).hint(hint).caused_by(cause)
        })?;
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for WorkingFolder {
    fn drop(&mut self) {
        // If it cannot be removed now, the next run tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove_dead(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !name.starts_with(PREFIX) {
            continue;
        }
        // Another user's, or one that is being made or removed at this moment: none of ours.
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_run_leaves_nothing_behind_for_long() {
        let name = format!("tidegate-working-{}", std::process::id());
        let parent = std::env::temp_dir().join(name);
        let living = WorkingFolder::new(Some(&parent)).expect("made");
        let dead = parent.join(format!("{PREFIX}1-0"));
        fs::create_dir_all(&dead).expect("made");
        File::create(dead.join(LOCK)).expect("made");
        let next = WorkingFolder::new(Some(&parent)).expect("made");
        assert!(!dead.exists());
        assert!(living.path().exists() && next.path().exists());
        drop((living, next));
        assert_eq!(fs::read_dir(&parent).expect("there").count(), 0);
        let _ = fs::remove_dir_all(&parent);
    }
}
