//! A view of a store that stays as it is while the store goes on.

use std::sync::Arc;

use rocksdb::{DB, DBRawIterator};

use super::options;
use super::scan::visit_entries;
use crate::error::Result;
use crate::model::KeyGroup;
use crate::state::FrozenEntries;
use crate::state::entry::Entry;

/// What a store held at one moment. Taking it flushes and copies nothing; while it lives, RocksDB
/// keeps what has been replaced since.
///
/// It is an iterator and not a snapshot of RocksDB's: compaction filters pay no heed to snapshots,
/// so that what expires after the moment would be missing. An iterator holds on to the files.
pub(super) struct View {
    /// Declared before what it borrows, so that it is dropped first.
    entries: DBRawIterator<'static>,
    db: Arc<DB>,
}

impl View {
    /// A view of this moment.
    pub(super) fn new(db: &Arc<DB>) -> Self {
        // SAFETY: the reference is `'static` on paper only. It goes to `entries` alone, which is
        // dropped before `db`, and `db` keeps its target alive and in place.
        let borrowed: &'static DB = unsafe { &*Arc::as_ptr(db) };
        Self { entries: borrowed.raw_iterator_opt(options::of_scans()), db: Arc::clone(db) }
    }
}

impl FrozenEntries for View {
    fn for_each(
        self: Box<Self>,
        visit: &mut dyn FnMut(KeyGroup, Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let Self { entries, db } = *self;
        visit_entries(entries, db.path(), visit)
    }
}
