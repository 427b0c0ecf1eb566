//! The components of a job's functions in its checkpoints: a checkpoint holds the code that its
//! state belongs to, so that it can be gone on from whatever has become of the job's files.

use std::sync::Arc;

use super::checked::{Writer, read_file};
use super::manifest::{ComponentFile, FileRef};
use super::protocol::Target;
use super::storage::Storage;
use crate::error::{Error, ErrorKind, Result};
use crate::model::Digest;
use crate::state::SnapshotForm;

/// The component of a function.
#[derive(Debug, Clone)]
pub struct Code {
    /// Its bytes.
    pub bytes: Arc<[u8]>,
    /// Their SHA-256.
    pub sha256: Digest,
    /// Where it lies in the job's checkpoint storage, once a checkpoint has put it there.
    pub stored: Option<FileRef>,
}

impl Code {
    /// Puts the component where a checkpoint of this number finds it: once for all checkpoints of a
    /// job, and into each savepoint.
    ///
    /// # Errors
    /// If the storage fails.
    pub fn store(&mut self, target: &Target, id: u64, operator: &str) -> Result<ComponentFile> {
        let file = match (target.form, &self.stored) {
            (SnapshotForm::Native, Some(file)) => file.clone(),
            (SnapshotForm::Native, None) => {
                let short = self.sha256.short();
                let file = self.write(target, &format!("shared/{id}-{operator}-{short}.wasm"))?;
                self.stored = Some(file.clone());
                file
            }
            (SnapshotForm::Canonical, _) => {
                let short = self.sha256.short();
                self.write(target, &target.name(&format!("{operator}-{short}.wasm")))?
            }
        };
        Ok(ComponentFile { sha256: self.sha256, file })
    }

    fn write(&self, target: &Target, name: &str) -> Result<FileRef> {
        let mut writer = Writer::create(&*target.storage, name)?;
        writer.write(&self.bytes)?;
        writer.finish()
    }
}

/// Reads a component that a manifest names.
///
/// # Errors
/// `Corruption` if it is not what was written; if the storage fails.
pub fn read_component(storage: &dyn Storage, component: &ComponentFile) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    read_file(storage, &component.file, |block| {
        bytes.extend_from_slice(block);
        Ok(())
    })?;
    if Digest::of(&bytes) == component.sha256 {
        return Ok(bytes);
    }
    let message = format!(
        "{} in {} is not the component that its manifest names",
        component.file.name,
        storage.root()
    );
    Err(Error::new(ErrorKind::Corruption, message))
}
