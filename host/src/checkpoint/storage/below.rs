//! A folder of a storage as a storage of its own.

use std::io::{self, Read};
use std::sync::Arc;

use super::{Storage, StorageWriter, Stored};

/// What lies below a folder of another storage.
pub struct Below {
    storage: Arc<dyn Storage>,
    /// Ends with a slash.
    folder: String,
}

impl Below {
    /// The storage that is the folder `folder` of another.
    pub fn new(storage: Arc<dyn Storage>, folder: &str) -> Self {
        Self { storage, folder: format!("{folder}/") }
    }

    fn name(&self, name: &str) -> String {
        format!("{}{name}", self.folder)
    }
}

impl Storage for Below {
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageWriter>> {
        self.storage.create(&self.name(name))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        self.storage.open(&self.name(name))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Stored>> {
        let mut files = self.storage.list(&self.name(prefix))?;
        files.iter_mut().for_each(|file| drop(file.name.drain(..self.folder.len())));
        Ok(files)
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.storage.delete(&self.name(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.storage.rename(&self.name(from), &self.name(to))
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.storage.settle(&self.name(name))
    }

    fn remove_unfinished(&self) -> io::Result<()> {
        Ok(())
    }

    fn root(&self) -> String {
        format!("{}/{}", self.storage.root(), self.folder.trim_end_matches('/'))
    }
}
