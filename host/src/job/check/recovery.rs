//! What a job file says of state, checkpoints and restarts, held against each other, against what
//! this build of the program can do, and against the file system.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::Findings;
use crate::env;
use crate::job::plan::{RestartPlan, S3};
use crate::job::spec::{
    At, CheckpointSpec, ClassicStorage, JobFile, SinkConnectorSpec, SourceConnectorSpec, StateSpec,
    StorageSpec, StoreSpec,
};

/// The word for a storage that ends with the process.
const MEMORY: &str = "memory";
const FILE: &str = "file://";

/// Checks `[state]`, `[checkpoint]` and what they mean for sources and sinks.
pub fn check(file: &JobFile, findings: &mut Findings) {
    check_backend(file, findings);
    if let Some(checkpoint) = &file.checkpoint {
        check_storage(file, checkpoint, findings);
    }
    warn_of_streams(file, findings);
}

/// Where checkpoints lie: as written, or as the classic name of the backend says; none if that is a
/// problem.
pub fn storage(checkpoint: &CheckpointSpec, state: &StateSpec) -> Option<String> {
    match (&checkpoint.storage, state.backend.storage) {
        (StorageSpec::Written(at), _) => Some(at.value.clone()),
        (StorageSpec::Missing(_), Some(ClassicStorage::Memory)) => Some(MEMORY.into()),
        (StorageSpec::Missing(_) | StorageSpec::Unreadable, _) => None,
    }
}

fn check_backend(file: &JobFile, findings: &mut Findings) {
    let state = &file.state;
    if state.backend.store != StoreSpec::RocksDb {
        return;
    }
    if !cfg!(feature = "rocksdb") {
        let problem =
            state.backend.problem("asks for RocksDB, which this tidegate is built without");
        findings.problem(
            problem.hint("write \"hashmap\", or build tidegate with its default features"),
        );
    }
    if let Some(directory) = &state.directory {
        check_folder(directory, &file.resolve(directory), findings);
    }
}

fn check_storage(file: &JobFile, checkpoint: &CheckpointSpec, findings: &mut Findings) {
    match &checkpoint.storage {
        StorageSpec::Unreadable => {}
        StorageSpec::Missing(at) => check_implied(file, at, findings),
        StorageSpec::Written(at) => check_written(file, at, findings),
    }
    if storage(checkpoint, &file.state).as_deref() == Some(MEMORY) {
        findings.warning(
            "checkpoints in memory are gone when the process ends: the job can restart by itself, \
             but not be started again from where it was",
        );
    }
}

/// Nothing is written: a classic name may say it.
fn check_implied(file: &JobFile, at: &At<()>, findings: &mut Findings) {
    let backend = &file.state.backend;
    let what = match backend.storage {
        Some(ClassicStorage::Memory) => return,
        Some(ClassicStorage::File) => {
            format!("has no `storage`, but {:?} keeps checkpoints in files", backend.word)
        }
        None => "has no `storage`".into(),
    };
    findings.problem(at.problem(what).hint("add `storage = \"file://./checkpoints\"`"));
}

fn check_written(file: &JobFile, at: &At<String>, findings: &mut Findings) {
    let backend = &file.state.backend;
    let (fits, place, instead) = match backend.storage {
        None => (true, "", ""),
        Some(ClassicStorage::Memory) => (*at.value == *MEMORY, "memory", "\"memory\""),
        Some(ClassicStorage::File) => (at.starts_with(FILE), "files", "\"file://FOLDER\""),
    };
    if !fits {
        let word = backend.word;
        let what = format!("is {:?}, but {word:?} keeps checkpoints in {place}", at.value);
        let plain = match backend.store {
            StoreSpec::HashMap => "hashmap",
            StoreSpec::RocksDb => "rocksdb",
        };
        let hint = format!(
            "write {instead} here, or {plain:?} as `state.backend`, which goes with any storage"
        );
        findings.problem(at.problem(what).hint(hint));
    } else if at.starts_with(S3) {
        check_s3(at, "write \"file://FOLDER\"", findings);
    } else if let Some(path) = at.strip_prefix(FILE) {
        check_folder(at, &file.resolve(path), findings);
    }
}

/// Notes a problem if this program knows no S3. `instead` is what to do without.
pub fn check_s3(at: &At<String>, instead: &str, findings: &mut Findings) {
    if !cfg!(feature = "s3") {
        let problem = at.problem("asks for S3, which this tidegate is built without");
        let hint = format!("{instead}, or build tidegate with its default features");
        findings.problem(problem.hint(hint));
    }
}

/// Notes a problem if a folder is none, or cannot be written or made. Makes nothing.
fn check_folder(at: &At<String>, path: &Path, findings: &mut Findings) {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(nearest) = absolute.ancestors().find(|path| path.exists()) else { return };
    let Ok(metadata) = fs::metadata(nearest) else { return };
    let (shown, nearest_shown) = (path.display(), nearest.display());
    if !metadata.is_dir() {
        let what = format!("is {shown}, but {nearest_shown} is a file");
        findings.problem(at.problem(what).hint("name a folder"));
    } else if let Ok(user) = env::user_id()
        && !may_write(user, metadata.uid(), metadata.mode())
    {
        let what = format!("is {shown}, but {nearest_shown} cannot be written by user {user}");
        let hint = "choose another folder, or let this user write there";
        findings.problem(at.problem(what).hint(hint));
    }
}

/// Whether a folder of this owner and mode can take files of a user. Whoever may be one of its
/// group gets the benefit of the doubt.
fn may_write(user: u32, owner: u32, mode: u32) -> bool {
    const ROOT: u32 = 0;
    let wanted = if user == owner { 0o200 } else { 0o022 };
    user == ROOT || mode & wanted != 0
}

/// Streams cannot go back to a checkpoint.
fn warn_of_streams(file: &JobFile, findings: &mut Findings) {
    let takes_checkpoints = file.checkpoint.is_some();
    let restarts = file.restart.as_ref().is_some_and(|restart| *restart != RestartPlan::None);
    if !takes_checkpoints && !restarts {
        return;
    }
    let lost = match takes_checkpoints {
        true => "what it has read since the last checkpoint",
        false => "what it has read until then",
    };
    for source in &file.sources {
        let what = match &source.connector {
            Some(SourceConnectorSpec::Stdin) => "standard input",
            Some(SourceConnectorSpec::Socket(_)) => "a socket",
            _ => continue,
        };
        findings.warning(format!(
            "source `{}` reads {what}, which cannot be read again: a restart loses {lost}",
            source.id.value
        ));
    }
    let is_stdout = |connector: &Option<_>| matches!(connector, Some(SinkConnectorSpec::Stdout));
    for sink in file.sinks.iter().filter(|sink| is_stdout(&sink.connector)) {
        findings.warning(format!(
            "sink `{}` writes standard output, which cannot be taken back: after a restart records \
             may appear again",
            sink.id.value
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_surely_cannot_be_written_is_refused() {
        for (user, owner, mode, may) in [
            (0, 7, 0o500, true),
            (7, 7, 0o700, true),
            (7, 7, 0o577, false),
            (7, 8, 0o755, false),
            (7, 8, 0o775, true),
            (7, 8, 0o757, true),
        ] {
            assert_eq!(may_write(user, owner, mode), may, "{user} {owner} {mode:o}");
        }
    }
}
