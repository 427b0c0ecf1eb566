//! A disk that lies about order: a rename that it says is done happens only after another one. It
//! makes of the engine one whose protocol has its steps in the wrong order.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tidegate::checkpoint::storage::{Disk, DiskEntry, DiskFile};

use super::disk::SimDisk;

/// Whether a path is meant.
type Which = fn(&Path) -> bool;

/// The disk below, with some renames held back.
pub struct Reordered {
    disk: SimDisk,
    /// Renames to these are held back…
    held: Which,
    /// …until one to these has been done.
    until: Which,
    waiting: Mutex<Vec<(PathBuf, PathBuf)>>,
}

impl Reordered {
    /// Holds renames back to paths that `held` means until one has been done that `until` means.
    pub fn new(disk: SimDisk, held: Which, until: Which) -> Self {
        Self { disk, held, until, waiting: Mutex::default() }
    }
}

impl Disk for Reordered {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.disk.create(path)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Read + Send>> {
        self.disk.open(path)
    }

    fn is_folder(&self, path: &Path) -> bool {
        self.disk.is_folder(path)
    }

    fn entries(&self, folder: &Path) -> io::Result<Vec<DiskEntry>> {
        self.disk.entries(folder)
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.make_folder(folder)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut waiting = self.waiting.lock().expect("nobody panics with this lock");
        if (self.held)(to) {
            waiting.push((from.to_owned(), to.to_owned()));
            return Ok(());
        }
        self.disk.rename(from, to)?;
        if (self.until)(to) {
            for (from, to) in waiting.drain(..) {
                self.disk.rename(&from, &to)?;
                self.disk.sync_folder(to.parent().expect("a file lies in a folder"))?;
            }
        }
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_file(path)
    }

    fn remove_folder(&self, path: &Path) -> io::Result<()> {
        self.disk.remove_folder(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.disk.sync_folder(folder)
    }
}
