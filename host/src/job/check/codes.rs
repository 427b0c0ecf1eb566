//! The functions of a checkpoint that a job is to go on from: they run, whatever lies at the job
//! file's paths by now.

use std::collections::BTreeMap;

use super::recovery;
use crate::checkpoint::catalog::{Catalog, Located};
use crate::checkpoint::code::read_component;
use crate::checkpoint::storage;
use crate::error::Result;
use crate::job::spec::JobFile;
use crate::wasm::{Component, Engine};

/// By the operator's id, the function that goes on.
pub type Codes = BTreeMap<String, Component>;

/// The functions of a checkpoint or savepoint.
///
/// # Errors
/// If one cannot be read, or is no function any more.
pub fn codes_of(located: &Located, engine: &Engine) -> Result<Codes> {
    let mut codes = Codes::new();
    for operator in &located.manifest.operators {
        let Some(file) = &operator.component else { continue };
        let bytes = read_component(&*located.storage, file)?;
        let name = format!("{}/{}", located.storage.root(), file.file.name);
        codes.insert(operator.id.clone(), Component::from_bytes(engine, &name, &bytes)?);
    }
    Ok(codes)
}

/// The checkpoint that `--restore latest` goes on from, as far as can be said before the job runs:
/// none if there is none, or if the storage does not answer, which the run tells.
pub fn latest(file: &JobFile) -> Option<Located> {
    let checkpoint = file.checkpoint.as_ref()?;
    let url = recovery::storage(checkpoint, &file.state)?;
    let catalog = Catalog::new(storage::open(&url, &file.folder).ok()?);
    let candidates = catalog.restore_candidates(checkpoint.prefer_checkpoint).ok()?;
    candidates.into_iter().find_map(|candidate| candidate.located.ok())
}
