//! What is kept is found again, and nothing else is ever run.

use std::os::unix::fs::PermissionsExt;

use super::*;

/// A folder that is there as long as this lives.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("tidegate-cache-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    /// The number of whoever runs the test: the owner of what it makes.
    fn user(&self) -> u32 {
        fs::metadata(&self.0).unwrap().uid()
    }

    fn open(&self) -> Result<Cache> {
        Cache::open(&self.0.join("components"), self.user(), |key| {
            key.fill(7);
            Ok(())
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

/// The smallest component, with some bytes that make it another file.
fn component(bytes: &[u8]) -> Vec<u8> {
    let name = b"x";
    let length = u8::try_from(1 + name.len() + bytes.len()).unwrap();
    [b"\0asm\x0d\0\x01\0\0", &[length, 1][..], name, bytes].concat()
}

/// Compiles a component and keeps it.
fn keep(cache: &Cache, engine: &wasmtime::Engine, file: &[u8]) -> (Digest, PathBuf) {
    let digest = Digest::of(file);
    cache.store(engine, &digest, &Component::from_binary(engine, file).unwrap());
    (digest, cache.folder.join(name(engine, &digest)))
}

#[test]
fn what_is_kept_is_found_by_the_same_key_only() {
    let folder = Folder::new("found");
    let engine = wasmtime::Engine::default();
    let cache = folder.open().unwrap();
    let (digest, path) = keep(&cache, &engine, &component(b"a"));
    assert!(cache.load(&engine, &Digest::of(b"another")).is_none());
    assert!(folder.open().unwrap().load(&engine, &digest).is_some());
    // An entry that somebody made who cannot read the key.
    let other = Cache { key: [8; KEY_BYTES], ..cache.clone() };
    keep(&other, &engine, &component(b"a"));
    assert!(cache.load(&engine, &digest).is_none());
    assert!(!path.exists(), "a refused entry is removed");
}

#[test]
fn an_entry_that_was_changed_in_any_place_is_removed() {
    let folder = Folder::new("changed");
    let engine = wasmtime::Engine::default();
    let cache = folder.open().unwrap();
    let (digest, path) = keep(&cache, &engine, &component(b"a"));
    let whole = fs::read(&path).unwrap();
    let places =
        (0..64).chain((64..whole.len()).step_by(whole.len() / 50)).chain([whole.len() - 1]);
    let changed = places.map(|place| {
        let mut entry = whole.clone();
        entry[place] ^= 0x10;
        entry
    });
    let cut =
        [0, 7, 8, 39, 40, 41, whole.len() / 2, whole.len() - 1].map(|end| whole[..end].to_vec());
    let longer = [&whole[..], b"\0"].concat();
    for entry in changed.chain(cut).chain([longer]) {
        // As others would write it, but with the right owner and mode.
        fs::write(&path, entry).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(cache.load(&engine, &digest).is_none());
        assert!(!path.exists(), "a refused entry is removed");
    }
    keep(&cache, &engine, &component(b"a"));
    assert_eq!(fs::read(&path).unwrap(), whole);
    assert!(cache.load(&engine, &digest).is_some());
}

#[test]
fn an_entry_of_another_component_or_engine_is_not_taken() {
    let folder = Folder::new("renamed");
    let engine = wasmtime::Engine::default();
    let cache = folder.open().unwrap();
    let (digest, path) = keep(&cache, &engine, &component(b"a"));
    let (_, other) = keep(&cache, &engine, &component(b"b"));
    fs::rename(&other, &path).unwrap();
    assert!(cache.load(&engine, &digest).is_none(), "of another component");
    let mut config = wasmtime::Config::new();
    config.epoch_interruption(true);
    let other_engine = wasmtime::Engine::new(&config).unwrap();
    let (_, other) = keep(&cache, &other_engine, &component(b"a"));
    assert_ne!(other, path);
    fs::rename(&other, &path).unwrap();
    assert!(cache.load(&engine, &digest).is_none(), "of another engine");
}

#[test]
fn what_others_could_have_written_is_not_used() {
    let folder = Folder::new("others");
    let engine = wasmtime::Engine::default();
    let cache = folder.open().unwrap();
    let (digest, path) = keep(&cache, &engine, &component(b"a"));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o660)).unwrap();
    assert!(cache.load(&engine, &digest).is_none());
    let stranger = Cache { user: cache.user + 1, ..cache.clone() };
    keep(&cache, &engine, &component(b"a"));
    assert!(stranger.load(&engine, &digest).is_none());
    let components = folder.0.join("components");
    fs::set_permissions(&components, fs::Permissions::from_mode(0o770)).unwrap();
    let refused = folder.open().unwrap_err();
    assert!(refused.message.contains("others than you"), "{}", refused.message);
}

#[test]
fn a_damaged_key_is_replaced() {
    let folder = Folder::new("key");
    let engine = wasmtime::Engine::default();
    let cache = folder.open().unwrap();
    let (digest, _) = keep(&cache, &engine, &component(b"a"));
    let key = folder.0.join("components").join(KEY_NAME);
    fs::write(&key, b"short").unwrap();
    let again = Cache::open(&cache.folder, cache.user, |key| {
        key.fill(9);
        Ok(())
    });
    let again = again.unwrap();
    assert_eq!(again.key, [9; KEY_BYTES]);
    assert!(again.load(&engine, &digest).is_none());
    let failing = Cache::open(&folder.0.join("new"), cache.user, |_| Err(io::Error::other("no")));
    assert!(failing.is_err());
}

#[test]
fn the_oldest_entries_go() {
    let folder = Folder::new("oldest");
    let engine = wasmtime::Engine::default();
    let cache = folder.open().unwrap();
    let kept: Vec<_> = (0..=ENTRIES_MAX as u8)
        .map(|number| keep(&cache, &engine, &component(&[number])))
        .collect();
    let entries = fs::read_dir(&cache.folder).unwrap().count();
    assert_eq!(entries, ENTRIES_MAX + 1, "the entries and the key");
    assert!(cache.load(&engine, &kept[ENTRIES_MAX].0).is_some());
    // A file as long as all may be together, without its bytes on the disk.
    let path = cache.folder.join("large");
    let large = File::create(&path).unwrap();
    large.set_len(CACHE_BYTES_MAX).unwrap();
    large.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    let (digest, _) = keep(&cache, &engine, &component(b"another"));
    assert!(!path.exists());
    assert!(cache.load(&engine, &digest).is_some());
}
