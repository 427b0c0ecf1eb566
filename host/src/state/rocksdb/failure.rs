//! What RocksDB says, as errors of this crate.

use std::path::Path;

use rocksdb::ErrorKind as Cause;

use crate::error::{Error, ErrorKind};

/// RocksDB failed to do something (`read`, `write`) with the state in a folder.
pub(super) fn failed(verb: &str, folder: &Path, cause: rocksdb::Error) -> Error {
    let text: &str = cause.as_ref();
    let is_missing = text.contains("No such file or directory");
    let (kind, hint) = match cause.kind() {
        Cause::Corruption | Cause::NotFound | Cause::InvalidArgument | Cause::NotSupported => {
            (ErrorKind::Corruption, RESTORE_OTHER)
        }
        Cause::IOError if is_missing => (ErrorKind::Corruption, RESTORE_OTHER),
        _ if text.contains("No space left") => (ErrorKind::Storage, MAKE_ROOM),
        _ => (ErrorKind::Storage, "see whether that disk is well and can be written"),
    };
    let message = format!("cannot {verb} the state in {}", folder.display());
    Error::new(kind, message).hint(hint).caused_by(cause)
}

/// The state in a folder has a key that no store wrote.
pub(super) fn no_key(folder: &Path) -> Error {
    let message = format!("the state in {} has keys of something else", folder.display());
    Error::new(ErrorKind::Corruption, message).hint(RESTORE_OTHER)
}

const RESTORE_OTHER: &str = "go on from an older checkpoint or from a savepoint";

const MAKE_ROOM: &str = "make room on that disk, or set `state.directory` to a folder on another";
