//! A folder that a test has for itself, removed when the test ends well.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, process, thread};

/// Numbers the folders of this process.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder of its own. Kept, and its path told, if the test fails.
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Makes an empty folder; `name` is for people who look into it.
    pub fn new(name: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("tidegate-{}-{number}-{name}", process::id()));
        fs::create_dir_all(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path in the folder.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        self.path.join(path)
    }

    /// Writes a file, with the folders above it, and gives its path.
    pub fn write(&self, path: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(path);
        let written = fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .and_then(|()| fs::write(&path, content));
        written.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        path
    }

    /// Reads a file as text.
    pub fn read(&self, path: impl AsRef<Path>) -> String {
        let path = self.join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// The JSON objects of a file that has one a line; none if there is no such file.
    pub fn read_json_lines(&self, path: impl AsRef<Path>) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.join(path)).unwrap_or_default();
        let object = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        text.lines().map(object).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("what the test wrote is in {}", self.path.display());
        } else {
            // What cannot be removed is in a folder for temporary files.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}
