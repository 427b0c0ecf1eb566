//! What RocksDB says, as errors of this crate.

use std::path::Path;

use rocksdb::ErrorKind as Cause;

use crate::error::{Error, ErrorKind};

/// RocksDB failed to do something (`read`, `write`) with the state in a folder.
pub(super) fn failed(verb: &str, folder: &Path, cause: rocksdb::Error) -> Error {
    let (kind, hint) = match cause.kind() {
        Cause::Corruption => (ErrorKind::Corruption, RESTORE_OTHER),
        _ if cause.as_ref().contains("No space left") => (ErrorKind::Storage, MAKE_ROOM),
        _ => (ErrorKind::Storage, "see whether that disk is well and can be written"),
    };
    error(kind, verb, folder, cause).hint(hint)
}

/// RocksDB failed to open files that should be those of a checkpoint.
pub(super) fn unusable(folder: &Path, cause: rocksdb::Error) -> Error {
    let is_missing = cause.as_ref().contains("No such file");
    match cause.kind() {
        Cause::InvalidArgument | Cause::NotFound | Cause::NotSupported => {}
        Cause::IOError if is_missing => {}
        _ => return failed("open", folder, cause),
    }
    error(ErrorKind::Corruption, "open", folder, cause).hint(RESTORE_OTHER)
}

fn error(kind: ErrorKind, verb: &str, folder: &Path, cause: rocksdb::Error) -> Error {
    let message = format!("cannot {verb} the state in {}", folder.display());
    Error::new(kind, message).caused_by(cause)
}

/// The state in a folder has a key that no store wrote.
pub(super) fn no_key(folder: &Path) -> Error {
    let message = format!("the state in {} has keys of something else", folder.display());
    Error::new(ErrorKind::Corruption, message).hint(RESTORE_OTHER)
}

const RESTORE_OTHER: &str = "go on from an older checkpoint or from a savepoint";

const MAKE_ROOM: &str = "make room on that disk, or set `state.directory` to a folder on another";
