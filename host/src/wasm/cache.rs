//! Compiled components on disk, so that a component is compiled once and not at every start. Called
//! by `component`; a cache that fails in any way costs a compilation and nothing else.
//!
//! ```text
//! <folder>/                        0700, of the user
//!   key                            0600: 32 random bytes
//!   <digest>-<engine>              magic · HMAC-SHA-256 of name and artifact · artifact
//! ```
//! The name says from which file the artifact was compiled (its digest), and by which compiler with
//! which settings (a hash over wasmtime's version, its settings and the processor's abilities).
//!
//! An artifact is machine code that runs outside the sandbox. It is used only if it carries the
//! code of the key, so if a process that could read the key wrote it: one of this user, who needs
//! no cache to run code of theirs. Whatever else is there, as an entry that is stale, cut off, or was
//! changed or renamed, is removed, and the component compiled anew.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wasmtime::component::Component;

use crate::error::{Error, Result};
use crate::model::Digest;

/// What entries begin with. The digit rises when their form changes.
const MAGIC: &[u8; 8] = b"tgcache1";

const TAG_BYTES: usize = 32;

const KEY_BYTES: usize = 32;

const KEY_NAME: &str = "key";

/// The most entries, and the most bytes of all. Past either, the oldest entries go.
const ENTRIES_MAX: usize = 100;
const CACHE_BYTES_MAX: u64 = 256 << 20;

/// Numbers the files that this process writes.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A folder of compiled components.
#[derive(Clone)]
pub struct Cache {
    folder: PathBuf,
    key: [u8; KEY_BYTES],
    /// Whom everything must belong to.
    user: u32,
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Cache({})", self.folder.display())
    }
}

impl Cache {
    /// The cache in a folder of the user with this number, which is made if it is not there.
    /// `fill_randomly` makes the key of a new cache.
    ///
    /// # Errors
    /// If the folder or the key in it cannot be made or read, or others than the user could have
    /// written them. Then there is no cache, and everything else goes on.
    pub fn open(
        folder: &Path,
        user: u32,
        fill_randomly: impl Fn(&mut [u8]) -> io::Result<()>,
    ) -> Result<Self> {
        let shown = folder.display();
        let failed = |cause: io::Error| {
            let message = format!("the folder of compiled components {shown} cannot be used");
            Error::storage(message).caused_by(cause)
        };
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
        let metadata = fs::symlink_metadata(folder).map_err(failed)?;
        if !metadata.is_dir() || !is_private(&metadata, user) {
            let message = format!("others than you can write the compiled components in {shown}");
            let hint = format!("`chmod 700 {shown}`, or remove it");
            return Err(Error::input(message).hint(hint));
        }
        let mut cache = Self { folder: folder.into(), key: [0; KEY_BYTES], user };
        cache.key = cache.open_key(fill_randomly).map_err(failed)?;
        Ok(cache)
    }

    /// Reads the key, or makes one: also in place of one that is cut off or others could have
    /// written. With a new key nothing that was kept is found any more.
    fn open_key(
        &self,
        fill_randomly: impl Fn(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<[u8; KEY_BYTES]> {
        let path = self.folder.join(KEY_NAME);
        let read = || -> io::Result<Option<[u8; KEY_BYTES]>> {
            let key = self.read(&path, KEY_BYTES as u64)?;
            Ok(key.and_then(|key| key.try_into().ok()))
        };
        let is_there = match read() {
            Ok(Some(key)) => return Ok(key),
            Ok(None) => true,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => false,
            Err(cause) => return Err(cause),
        };
        let mut key = [0; KEY_BYTES];
        fill_randomly(&mut key)?;
        let unfinished = self.write_unfinished(&[&key])?;
        let made = match is_there {
            true => fs::rename(&unfinished, &path),
            // Of several processes that begin at once one is the first: its key is everybody's.
            false => fs::hard_link(&unfinished, &path),
        };
        // It has gone by the renaming already, or is of no use any more.
        let _ = fs::remove_file(&unfinished);
        match made {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
            _ => read()?.ok_or_else(|| io::Error::other("its key changes while it is read")),
        }
    }

    /// What was compiled from the file of this digest, if it is kept and certain.
    pub(super) fn load(&self, engine: &wasmtime::Engine, digest: &Digest) -> Option<Component> {
        let name = name(engine, digest);
        let path = self.folder.join(&name);
        let entry = match self.read(&path, CACHE_BYTES_MAX) {
            Ok(entry) => entry,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return None,
            Err(_) => None,
        };
        let artifact = entry.as_deref().and_then(|entry| self.verify(&name, entry));
        // SAFETY: `deserialize` wants bytes that `Component::serialize` made, since it runs them as
        // they are. These carry a message authentication code under a key that nobody but this user
        // can read, over all of them and over the name of their compiler and its settings; so they
        // are what `store` was given, in full. `artifact` is a slice of memory that this process
        // alone holds, not of the file, so they stay what was verified.
        let component =
            artifact.and_then(|bytes| unsafe { Component::deserialize(engine, bytes) }.ok());
        if component.is_none() {
            // What stays behind is refused again.
            let _ = fs::remove_file(&path);
        }
        component
    }

    /// Keeps what was compiled from the file of this digest, if it can. One that cannot be kept is
    /// compiled again when it is needed again.
    pub(super) fn store(&self, engine: &wasmtime::Engine, digest: &Digest, component: &Component) {
        let Ok(artifact) = component.serialize() else { return };
        let name = name(engine, digest);
        let tag = self.tag(&name, &artifact).finalize().into_bytes();
        let Ok(unfinished) = self.write_unfinished(&[MAGIC, &tag, &artifact]) else { return };
        match fs::rename(&unfinished, self.folder.join(name)) {
            Ok(()) => self.prune(),
            Err(_) => drop(fs::remove_file(&unfinished)),
        }
    }

    /// The artifact of an entry, if it is one that `store` wrote under this name.
    fn verify<'a>(&self, name: &str, entry: &'a [u8]) -> Option<&'a [u8]> {
        let rest = entry.strip_prefix(MAGIC)?;
        let (tag, artifact) = rest.split_at_checked(TAG_BYTES)?;
        self.tag(name, artifact).verify_slice(tag).ok()?;
        Some(artifact)
    }

    fn tag(&self, name: &str, artifact: &[u8]) -> Hmac<Sha256> {
        let mut tag = Hmac::<Sha256>::new_from_slice(&self.key).expect("any length is a key");
        // Names are of one length, so that nothing of one can pass for the other.
        tag.update(name.as_bytes());
        tag.update(artifact);
        tag
    }

    /// The content of a file that nobody but the user can have written; none if that is not so, or
    /// it is longer than `bytes_max`.
    fn read(&self, path: &Path, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
        let file = File::open(path)?;
        // Of the open file, so that nobody can exchange it meanwhile.
        let metadata = file.metadata()?;
        let is_wanted = metadata.is_file() && metadata.len() <= bytes_max;
        if !is_wanted || !is_private(&metadata, self.user) {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
        file.take(bytes_max).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file of the user's own, which gets its name when it is complete.
    fn write_unfinished(&self, parts: &[&[u8]]) -> io::Result<PathBuf> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self.folder.join(format!(".unfinished-{}-{number}", std::process::id()));
        // Of a process that had this number before.
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        let written = parts.iter().try_for_each(|part| file.write_all(part));
        match written {
            Ok(()) => Ok(path),
            Err(cause) => {
                // It is found and removed as the oldest, if it stays.
                let _ = fs::remove_file(&path);
                Err(cause)
            }
        }
    }

    /// Removes the oldest entries while there are too many. What cannot be removed now is tried
    /// again with the next one that is kept.
    fn prune(&self) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = files
            .flatten()
            .filter(|file| file.file_name() != KEY_NAME)
            .filter_map(|file| {
                let metadata = file.metadata().ok()?;
                Some((metadata.modified().ok()?, metadata.len(), file.path()))
            })
            .collect();
        files.sort_unstable();
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        let mut count = files.len();
        for (_, length, path) in files {
            if count <= ENTRIES_MAX && bytes <= CACHE_BYTES_MAX {
                return;
            }
            let _ = fs::remove_file(path);
            count -= 1;
            bytes -= length;
        }
    }
}

/// The name of an entry: of one length for all.
fn name(engine: &wasmtime::Engine, digest: &Digest) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}", hasher.finish())
}

fn is_private(metadata: &fs::Metadata, user: u32) -> bool {
    metadata.uid() == user && metadata.mode() & 0o077 == 0
}

#[cfg(test)]
mod tests;
