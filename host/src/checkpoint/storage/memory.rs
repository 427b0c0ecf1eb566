//! The memory of the process as a storage. It does not outlive the process.

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind::NotFound, Read};
use std::sync::{Arc, Mutex, MutexGuard};

use super::{Storage, StorageWriter, Stored};

/// The longest file of state, as in Flink's storage of this kind: 5 MiB. Code may be longer.
const FILE_BYTES_MAX: usize = 5 << 20;

type Files = BTreeMap<String, Arc<[u8]>>;

/// Files in memory. Clones are the same storage.
#[derive(Debug, Clone, Default)]
pub struct MemoryStorage(Arc<Mutex<Files>>);

impl MemoryStorage {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().expect("nobody panics with this lock")
    }
}

impl Storage for MemoryStorage {
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageWriter>> {
        let storage = self.clone();
        Ok(Box::new(Writer { storage, name: name.to_owned(), bytes: Vec::new() }))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn Read + Send>> {
        let file = self.files().get(name).cloned().ok_or(io::Error::from(NotFound))?;
        Ok(Box::new(Cursor::new(file)))
    }

    fn list(&self, prefix: &str) -> io::Result<Vec<Stored>> {
        let files = self.files();
        let named = files.iter().filter(|(name, _)| name.starts_with(prefix));
        let stored = |(name, file): (&String, &Arc<[u8]>)| Stored {
            name: name.clone(),
            bytes: file.len() as u64,
        };
        Ok(named.map(stored).collect())
    }

    fn delete(&self, name: &str) -> io::Result<()> {
        self.files().remove(name);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(from).ok_or(io::Error::from(NotFound))?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn settle(&self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove_unfinished(&self) -> io::Result<()> {
        Ok(())
    }

    fn root(&self) -> String {
        "memory".into()
    }
}

struct Writer {
    storage: MemoryStorage,
    name: String,
    bytes: Vec<u8>,
}

impl StorageWriter for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let is_code = self.name.ends_with(".wasm");
        if !is_code && self.bytes.len() + bytes.len() > FILE_BYTES_MAX {
            return Err(io::Error::other(format!(
                "{} would have more than {} MiB, the most that a file in memory may have; \
                 file:// and s3:// have no such limit",
                self.name,
                FILE_BYTES_MAX >> 20
            )));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(self: Box<Self>) -> io::Result<()> {
        self.storage.files().insert(self.name, self.bytes.into());
        Ok(())
    }
}
