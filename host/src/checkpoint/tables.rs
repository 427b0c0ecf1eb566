//! Brings the tables of a rocksdb checkpoint from its storage to a local folder.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use super::checked::read_file;
use super::manifest::TableFile;
use super::storage::Storage;
use crate::error::{Error, Result};

/// Copies tables into a folder, which is made if it is not there, and checks them on the way.
///
/// # Errors
/// `Corruption` if one is not what was written; `Storage` if storage or disk fail.
pub fn fetch(storage: &dyn Storage, tables: &[TableFile], into: &Path) -> Result<()> {
    let failed =
        |cause| Error::storage(format!("cannot write to {}", into.display())).caused_by(cause);
    fs::create_dir_all(into).map_err(failed)?;
    for table in tables {
        let mut file = File::create(into.join(&table.name)).map_err(failed)?;
        read_file(storage, &table.file, |bytes| file.write_all(bytes).map_err(failed))?;
    }
    Ok(())
}
