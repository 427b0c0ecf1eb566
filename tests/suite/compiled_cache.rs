//! Components are compiled once: what was compiled is found again, and whatever could be anything
//! else is compiled anew, with no other sign than the time it takes.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tidegate_tests::binary::component;
use tidegate_tests::{Ended, Folder, Tidegate};

/// Inspects a component with the cache in this folder.
fn inspect(crate_name: &str, caches: &Path) -> Ended {
    let call = Tidegate::new([Path::new("inspect"), &component(crate_name)]);
    call.env("XDG_CACHE_HOME", caches).run().expect(0)
}

/// What is kept: the entries, without the key.
fn entries(caches: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(caches.join("tidegate/components")).expect("it was made");
    let paths = files.map(|file| file.expect("it can be read").path());
    paths.filter(|path| !path.ends_with("key")).collect()
}

#[track_caller]
fn only(caches: &Path) -> PathBuf {
    let entries = entries(caches);
    assert_eq!(entries.len(), 1, "{entries:?}");
    entries[0].clone()
}

/// Tells one file from another under the same name, by when it was written too: the file system may
/// use the number of a file that is gone again.
fn identity(path: &Path) -> (u64, i64, i64) {
    let file = fs::metadata(path).expect("it is there");
    (file.ino(), file.mtime(), file.mtime_nsec())
}

#[test]
fn what_was_compiled_is_found_again() {
    let folder = Folder::new("kept");
    let first = inspect("count", folder.path());
    let entry = only(folder.path());
    let before = identity(&entry);
    let second = inspect("count", folder.path());
    assert_eq!((&first.stdout, first.stderr.as_str()), (&second.stdout, ""));
    assert_eq!((only(folder.path()), identity(&entry)), (entry.clone(), before));
    inspect("periodic-pv", folder.path());
    assert_eq!(entries(folder.path()).len(), 2);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").mode() & 0o777;
    let components = entry.parent().expect("it is in a folder");
    assert_eq!((mode(components), mode(&components.join("key"))), (0o700, 0o600));
    assert_eq!(mode(&entry), 0o600);
}

#[test]
fn what_was_tampered_with_is_compiled_anew() {
    let folder = Folder::new("tampered");
    let first = inspect("count", folder.path());
    let entry = only(folder.path());
    let whole = fs::read(&entry).expect("it was written");
    let places = [0, 8, 40, whole.len() / 3, whole.len() - 1];
    let changed = places.map(|place| {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        bytes
    });
    let cut = [0, 20, whole.len() / 2, whole.len() - 1].map(|end| whole[..end].to_vec());
    for bytes in changed.into_iter().chain(cut) {
        // In place, with the owner and the mode that it had.
        fs::write(&entry, &bytes).expect("the user may");
        let again = inspect("count", folder.path());
        assert_eq!((&again.stdout, again.stderr.as_str()), (&first.stdout, ""));
        let kept = fs::read(only(folder.path())).expect("it was written");
        assert!(kept == whole, "the entry is what it was, byte for byte");
    }
}

/// An entry under the name of another is not that other one.
#[test]
fn what_was_renamed_is_compiled_anew() {
    let folder = Folder::new("renamed");
    let first = inspect("count", folder.path());
    let count = only(folder.path());
    inspect("periodic-pv", folder.path());
    let mut others = entries(folder.path());
    others.retain(|path| *path != count);
    fs::rename(&others[0], &count).expect("the user may");
    assert_eq!(inspect("count", folder.path()).stdout, first.stdout);
    let key = count.with_file_name("key");
    fs::write(&key, [1; 32]).expect("the user may");
    assert_eq!(inspect("count", folder.path()).stdout, first.stdout);
}

#[test]
fn what_others_can_write_is_not_used() {
    let folder = Folder::new("open");
    let first = inspect("count", folder.path());
    let entry = only(folder.path());
    let before = identity(&entry);
    let components = entry.parent().expect("it is in a folder");
    fs::set_permissions(components, Permissions::from_mode(0o777)).expect("the user may");
    let again = inspect("count", folder.path());
    assert_eq!((&again.stdout, identity(&entry)), (&first.stdout, before));
    for text in ["compiled anew", "others than you", "chmod 700"] {
        assert_eq!(again.stderr.matches(text).count(), 1, "{}", again.stderr);
    }
    fs::set_permissions(components, Permissions::from_mode(0o700)).expect("the user may");
    fs::set_permissions(&entry, Permissions::from_mode(0o666)).expect("the user may");
    assert_eq!(inspect("count", folder.path()).stdout, first.stdout);
    assert_ne!(identity(&entry), before, "it is another one now");
}

/// A job does not depend on the cache.
#[test]
fn no_failure_of_the_cache_is_one_of_the_job() {
    let folder = Folder::new("failing");
    folder.write("clicks.csv", "a,/,1\na,/,2\n");
    let component = component("count");
    let source = "connector = \"file\"\npath = \"clicks.csv\"\nformat = \"csv\"\n";
    let job = folder.write(
        "job.toml",
        format!(
            "[job]\nname = \"test\"\n[[source]]\nid = \"in\"\n{source}\
             [[operator]]\nid = \"op\"\ncomponent = {component:?}\n\
             inputs = [{{ from = \"in\", partition = {{ key = 0 }} }}]\n\
             [[sink]]\nid = \"out\"\nconnector = \"stdout\"\nfrom = \"op\"\n"
        ),
    );
    let run = |caches: &Path| {
        let ended = Tidegate::run_job(&job).env("XDG_CACHE_HOME", caches).run().expect(0);
        assert_eq!(ended.stdout, "a,1\na,2\n");
        ended.stderr
    };
    let story = run(&folder.write("a-file", ""));
    assert!(story.contains("compiled anew"), "{story}");
    // Nothing can be kept in the place of a folder: what was written is removed.
    let caches = folder.join("caches");
    run(&caches);
    let entry = only(&caches);
    fs::remove_file(&entry).expect("the user may");
    fs::create_dir(&entry).expect("the user may");
    run(&caches);
    assert_eq!(entries(&caches), [entry]);
}
