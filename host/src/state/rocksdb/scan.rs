//! Reads everything that some key groups have in a store or in the files of one.

use std::ops::Range;
use std::path::Path;

use rocksdb::{DB, DBRawIterator, ReadOptions};

use super::failure::{failed, no_key, unusable};
use super::{key, options};
use crate::error::Result;
use crate::model::KeyGroup;
use crate::state::entry::{Entry, EntryKind};

/// Visits the entries of some key groups in a store's files, such as those of a checkpoint, in the
/// order of group, key and state. They must lie in `folder` under the names that RocksDB gave them;
/// RocksDB adds an empty log to them.
///
/// # Errors
/// Those of the visit; of kind `Corruption` if the files are not what RocksDB wrote.
pub fn read_tables(
    folder: &Path,
    groups: &Range<u32>,
    visit: impl FnMut(KeyGroup, Entry<'_>) -> Result<()>,
) -> Result<()> {
    let db = open_tables(folder)?;
    visit_entries(db.raw_iterator_opt(of_groups(groups)), folder, visit)
}

/// Opens files that nobody writes to.
pub(super) fn open_tables(folder: &Path) -> Result<DB> {
    let fail_if_log_exists = false;
    DB::open_for_read_only(&options::for_reading(), folder, fail_if_log_exists)
        .map_err(|cause| unusable(folder, cause))
}

/// The way to read some key groups.
pub(super) fn of_groups(groups: &Range<u32>) -> ReadOptions {
    let mut options = options::of_scans();
    let bounds = key::bounds(groups);
    options.set_iterate_lower_bound(bounds.start);
    options.set_iterate_upper_bound(bounds.end);
    options
}

/// Visits what an iterator has, as entries.
pub(super) fn visit_entries(
    entries: DBRawIterator<'_>,
    folder: &Path,
    mut visit: impl FnMut(KeyGroup, Entry<'_>) -> Result<()>,
) -> Result<()> {
    visit_all(entries, folder, |bytes, value| {
        let stored = key::read(bytes).ok_or_else(|| no_key(folder))?;
        visit(stored.group, Entry { kind: EntryKind::State(stored.state), key: stored.key, value })
    })
}

/// Visits what an iterator has, as it is.
pub(super) fn visit_all(
    mut entries: DBRawIterator<'_>,
    folder: &Path,
    mut visit: impl FnMut(&[u8], &[u8]) -> Result<()>,
) -> Result<()> {
    entries.seek_to_first();
    while let Some((key, value)) = entries.item() {
        visit(key, value)?;
        entries.next();
    }
    // An iterator ends at the first error as if there was nothing more.
    entries.status().map_err(|cause| failed("read", folder, cause))
}
