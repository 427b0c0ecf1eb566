//! Reads what one partition remembered, whatever backend wrote it.

use std::ops::Range;

use super::manifest::{FileRef, PartitionSnapshot};
use super::state_file;
use super::storage::Storage;
use crate::error::{Error, ErrorKind, Result};
use crate::state::OperatorCell;
use crate::state::entry::{self, Entry};

/// Visits the timers and states of some key groups; timers come first if states are in tables.
///
/// # Errors
/// `Corruption` if a file is not what was written; those of `visit`; `Storage` if the storage
/// fails.
pub fn for_each_entry(
    storage: &dyn Storage,
    snapshot: &PartitionSnapshot,
    groups: &Range<u32>,
    mut visit: impl FnMut(u32, Entry<'_>) -> Result<()>,
) -> Result<()> {
    read_entries(storage, &snapshot.entries, groups, &mut visit)?;
    match &snapshot.tables {
        None => Ok(()),
        Some(tables) => read_tables(storage, tables, groups, &mut visit),
    }
}

/// The operator states that a partition left, in the order of the manifest; none if it had none
/// yet.
///
/// # Errors
/// `Corruption` if the file is not what was written; `Storage` if the storage fails.
pub fn operator_cells(
    storage: &dyn Storage,
    snapshot: &PartitionSnapshot,
) -> Result<Option<Vec<OperatorCell>>> {
    let Some(file) = &snapshot.operator_entries else { return Ok(None) };
    let mut cells = Vec::new();
    read_entries(storage, file, &(0..1), |_, entry| {
        cells.push(entry.value.to_vec());
        Ok(())
    })?;
    Ok(Some(cells))
}

/// Visits what a state file holds of some key groups.
pub(super) fn read_entries(
    storage: &dyn Storage,
    file: &FileRef,
    groups: &Range<u32>,
    mut visit: impl FnMut(u32, Entry<'_>) -> Result<()>,
) -> Result<()> {
    state_file::read_chunks(storage, file, |group, entries| {
        if !groups.contains(&group) {
            return Ok(());
        }
        for one in entry::read(entries) {
            let one = one.map_err(|at| {
                let (name, root) = (&file.name, storage.root());
                let message = format!(
                    "{name} in {root} holds an entry that cannot be read, at byte {} of a chunk of \
                     key group {group}",
                    at.offset
                );
                Error::new(ErrorKind::Corruption, message)
            })?;
            visit(group, one)?;
        }
        Ok(())
    })
}

#[cfg(feature = "rocksdb")]
fn read_tables(
    storage: &dyn Storage,
    tables: &[super::manifest::TableFile],
    groups: &Range<u32>,
    visit: &mut dyn FnMut(u32, Entry<'_>) -> Result<()>,
) -> Result<()> {
    use crate::state::{LocalTables, rocksdb};
    use std::sync::atomic::{AtomicU32, Ordering};

    static NEXT: AtomicU32 = AtomicU32::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("tidegate-tables-{}-{number}", std::process::id());
    // Removed with this value.
    let local = LocalTables { folder: std::env::temp_dir().join(name), files: Vec::new() };
    super::tables::fetch(storage, tables, &local.folder)?;
    rocksdb::read_tables(&local.folder, groups, |group, entry| visit(group.0, entry))
}

#[cfg(not(feature = "rocksdb"))]
fn read_tables(
    storage: &dyn Storage,
    _tables: &[super::manifest::TableFile],
    _groups: &Range<u32>,
    _visit: &mut dyn FnMut(u32, Entry<'_>) -> Result<()>,
) -> Result<()> {
    let message = format!("the checkpoint in {} is of the rocksdb backend", storage.root());
    Err(Error::input(message).hint("use a tidegate that was built with the cargo feature rocksdb"))
}
