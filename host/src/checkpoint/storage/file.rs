//! A folder of a file system as a storage.
//!
//! A file is written under a temporary name, synced, renamed, and then its folder is synced: only
//! this order makes it durable before it is visible, on every file system that Linux has.

use std::io::{self, ErrorKind::NotFound, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk::{Disk, DiskEntry, DiskFile, RealDisk};
use super::{Storage, StorageWriter, Stored};

/// How the temporary names of unfinished files end.
const UNFINISHED: &str = ".tidegate-unfinished";

/// A folder as a storage.
#[derive(Clone)]
pub struct FileStorage {
    disk: Arc<dyn Disk>,
    root: PathBuf,
}

impl FileStorage {
    /// The folder `root` of this machine, which need not be there yet.
    pub fn new(root: &Path) -> Self {
        // Without a current folder there is no other way to say it.
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self::on(Arc::new(RealDisk), root)
    }

    /// A folder, named from its root, of any disk.
    pub fn on(disk: Arc<dyn Disk>, root: impl Into<PathBuf>) -> Self {
        Self { disk, root: root.into() }
    }

    fn folder_of(path: &Path) -> &Path {
        path.parent().expect("a name lies below the root")
    }

    /// Makes a folder below the root and everything above it, durably.
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        if self.disk.is_folder(folder) {
            return Ok(());
        }
        self.disk.make_folder(folder)?;
        let mut new = folder;
        while let Some(parent) = new.parent() {
            self.disk.sync_folder(parent)?;
            if new == self.root {
                break;
            }
            new = parent;
        }
        Ok(())
    }

    /// What a folder holds; nothing if there is no such folder.
    fn entries(&self, folder: &Path) -> io::Result<Vec<DiskEntry>> {
        match self.disk.entries(folder) {
            Err(error) if error.kind() == NotFound => Ok(Vec::new()),
            entries => entries,
        }
    }

    fn remove_unfinished_in(&self, folder: &Path) -> io::Result<()> {
        for entry in self.entries(folder)? {
            let path = folder.join(&entry.name);
            match entry.bytes {
                Some(_) if entry.name.ends_with(UNFINISHED) => self.disk.remove_file(&path)?,
                Some(_) => {}
                None => {
                    self.remove_unfinished_in(&path)?;
                    // It may hold something else.
                    let _ = self.disk.remove_folder(&path);
                }
            }
        }
        Ok(())
    }

    fn list_folder(
        &self,
        folder: &Path,
        before: &str,
        prefix: &str,
        found: &mut Vec<Stored>,
    ) -> io::Result<()> {
        for entry in self.entries(folder)? {
            let name = format!("{before}{}", entry.name);
            match entry.bytes {
                Some(_) if name.ends_with(UNFINISHED) => {}
                Some(bytes) if name.starts_with(prefix) => found.push(Stored { name, bytes }),
                Some(_) => {}
                None => {
                    let inside = format!("{name}/");
                    // Only folders on the way to the prefix or below it are worth a look.
                    if inside.starts_with(prefix) || prefix.starts_with(&inside) {
                        self.list_folder(&folder.join(&entry.name), &inside, prefix, found)?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Storage for FileStorage {
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageWriter>> {
        let path = self.root.join(name);
        self.make_folder(Self::folder_of(&path))?;
        let last = path.file_name().unwrap_or_default().to_string_lossy();
        let unfinished = path.with_file_name(format!("{last}{UNFINISHED}"));
        let file = self.disk.create(&unfinished)?;
        Ok(Box::new(Writer { disk: self.disk.clone(), file, unfinished, path, finished: false }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        self.disk.open(&self.root.join(name))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Stored>> {
        let mut found = Vec::new();
        self.list_folder(&self.root, "", prefix, &mut found)?;
        found.sort();
        Ok(found)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        let path = self.root.join(name);
        match self.disk.remove_file(&path) {
            Err(error) if error.kind() == NotFound => return Ok(()),
            removed => removed?,
        }
        let mut folder = Self::folder_of(&path);
        // Folders go as long as they are empty; the first that is not ends it.
        while folder != self.root && self.disk.remove_folder(folder).is_ok() {
            folder = Self::folder_of(folder);
        }
        self.disk.sync_folder(folder)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.root.join(from), self.root.join(to));
        self.make_folder(Self::folder_of(&to))?;
        self.disk.rename(&from, &to)?;
        self.disk.sync_folder(Self::folder_of(&to))?;
        match Self::folder_of(&from) {
            same if same == Self::folder_of(&to) => Ok(()),
            other => self.disk.sync_folder(other),
        }
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        let path = self.root.join(name);
        let mut folder = Self::folder_of(&path);
        self.disk.sync_folder(folder)?;
        while folder != self.root {
            folder = Self::folder_of(folder);
            self.disk.sync_folder(folder)?;
        }
        Ok(())
    }

    fn remove_unfinished(&self) -> io::Result<()> {
        self.remove_unfinished_in(&self.root)
    }

    fn root(&self) -> String {
        format!("file://{}", self.root.display())
    }
}

struct Writer {
    disk: Arc<dyn Disk>,
    file: Box<dyn DiskFile>,
    unfinished: PathBuf,
    path: PathBuf,
    finished: bool,
}

impl StorageWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write(bytes)
    }

    fn finish(mut self: Box<Self>) -> io::Result<()> {
        self.file.sync()?;
        self.disk.rename(&self.unfinished, &self.path)?;
        self.finished = true;
        self.disk.sync_folder(FileStorage::folder_of(&self.path))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed stays invisible.
            let _ = self.disk.remove_file(&self.unfinished);
        }
    }
}
