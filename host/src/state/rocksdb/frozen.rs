//! A view of a store that stays as it is while the store goes on.

use std::sync::Arc;

use rocksdb::{DB, Snapshot};

use super::options;
use super::scan::visit_entries;
use crate::error::Result;
use crate::model::KeyGroup;
use crate::state::FrozenEntries;
use crate::state::entry::Entry;

/// What a store held at one moment. Taking it flushes and copies nothing; while it lives, RocksDB
/// keeps what has been replaced since.
pub(super) struct View {
    /// Declared before what it borrows, so that it is dropped first.
    snapshot: Snapshot<'static>,
    db: Arc<DB>,
}

impl View {
    /// A view of this moment.
    pub(super) fn new(db: &Arc<DB>) -> Self {
        // SAFETY: the reference is `'static` on paper only. It goes to `snapshot` alone, which is
        // dropped before `db`, and `db` keeps its target alive and in place.
        let borrowed: &'static DB = unsafe { &*Arc::as_ptr(db) };
        Self { snapshot: borrowed.snapshot(), db: Arc::clone(db) }
    }
}

impl FrozenEntries for View {
    fn for_each(
        self: Box<Self>,
        visit: &mut dyn FnMut(KeyGroup, Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let entries = self.snapshot.raw_iterator_opt(options::of_scans());
        visit_entries(entries, self.db.path(), visit)
    }
}
