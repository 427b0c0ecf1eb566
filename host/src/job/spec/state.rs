//! `[state]`.

use super::document::Value;
use super::section::{At, Mismatch, Section};
use super::values;

/// What RocksDB may use unless the job file says otherwise.
const MEMORY_DEFAULT: u64 = 256 << 20;

/// With less, its caches and write buffers are too small to be of use.
const MEMORY_MIN: u64 = 16 << 20;

/// `[state]`.
#[derive(Debug)]
pub struct StateSpec {
    /// Where state lives. Default hashmap.
    pub backend: At<BackendSpec>,
    /// What RocksDB may use, in bytes. Default 256 MiB.
    pub memory_bytes: u64,
    /// Where RocksDB's files lie while the job runs. Default: the system's folder for temporary
    /// files.
    pub directory: Option<At<String>>,
}

/// A word for a state backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendSpec {
    /// As written.
    pub word: &'static str,
    /// The store.
    pub store: StoreSpec,
    /// The checkpoint storage that a classic name stands for besides; none for the plain names.
    pub storage: Option<ClassicStorage>,
}

/// What keeps state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreSpec {
    /// The heap.
    HashMap,
    /// RocksDB.
    RocksDb,
}

/// Where checkpoints lie by the classic name of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClassicStorage {
    /// `memory`.
    Memory,
    /// `file://…`.
    File,
}

/// Reads `[state]`.
pub fn read(root: &mut Section<'_, '_>) -> StateSpec {
    let default = BackendSpec { word: "hashmap", store: StoreSpec::HashMap, storage: None };
    let nowhere = root.at(default);
    let Some(mut section) = root.section("state") else {
        return StateSpec { backend: nowhere, memory_bytes: MEMORY_DEFAULT, directory: None };
    };
    let written = section.optional("backend", backend);
    let is_known = written.is_some() || !section.has("backend");
    let backend = written.unwrap_or_else(|| section.at(default));
    let memory = section.optional("memory", memory);
    let directory = section.optional("directory", values::text);
    // Whose keys these are is known only with the backend, and those of the one that `--set`
    // replaces are no mistake.
    if is_known && backend.store != StoreSpec::RocksDb && !backend.is_argument() {
        let places =
            [memory.as_ref().map(|at| at.with(())), directory.as_ref().map(|at| at.with(()))];
        for at in places.into_iter().flatten() {
            let problem = at.problem("goes with `backend = \"rocksdb\"` only");
            section.report(problem.hint("remove it, or choose that backend"));
        }
    }
    section.finish();
    let memory_bytes = memory.map_or(MEMORY_DEFAULT, |at| at.value);
    StateSpec { backend, memory_bytes, directory }
}

fn backend(value: &Value) -> Result<BackendSpec, Mismatch> {
    let plain = |word, store| BackendSpec { word, store, storage: None };
    let classic = |word, store, storage| BackendSpec { word, store, storage: Some(storage) };
    let backends = [
        plain("hashmap", StoreSpec::HashMap),
        plain("rocksdb", StoreSpec::RocksDb),
        classic("MemoryStateBackend", StoreSpec::HashMap, ClassicStorage::Memory),
        classic("FsStateBackend", StoreSpec::HashMap, ClassicStorage::File),
        classic("RocksDBStateBackend", StoreSpec::RocksDb, ClassicStorage::File),
    ];
    values::word(value, &backends.map(|backend| (backend.word, backend)))
}

fn memory(value: &Value) -> Result<u64, Mismatch> {
    let bytes = values::bytes(value)?;
    if bytes < MEMORY_MIN {
        return values::mismatch(value, "a size from 16MiB", "write for example \"256MiB\"");
    }
    Ok(bytes)
}
