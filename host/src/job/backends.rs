//! Makes the state of partitions, empty or from a checkpoint, as the job's backend wants it.

use std::ops::Range;

use super::plan::{BackendPlan, OperatorPlan, Plan};
use super::restore::PartitionStart;
use crate::checkpoint::catalog::Located;
use crate::checkpoint::manifest::{PartitionSnapshot, TableFile};
use crate::checkpoint::reading;
use crate::error::Result;
#[cfg(feature = "rocksdb")]
use crate::state::Lifetimes;
use crate::state::{KeyedState, Layout};

/// The state backend of one attempt.
pub(super) struct Backends {
    max_parallelism: u32,
    #[cfg(feature = "rocksdb")]
    rocksdb: Option<on_disk::RocksDb>,
}

/// What a partition begins with.
type From<'a> = Option<(&'a Located, &'a PartitionStart<'a>)>;

impl Backends {
    /// The backend of a plan.
    ///
    /// # Errors
    /// If its working folder cannot be made.
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        #[cfg(feature = "rocksdb")]
        let rocksdb = match &plan.state.backend {
            BackendPlan::HashMap => None,
            BackendPlan::RocksDb { memory_bytes, directory } => {
                Some(on_disk::RocksDb::new(plan, *memory_bytes, directory.as_deref())?)
            }
        };
        #[cfg(not(feature = "rocksdb"))]
        assert_eq!(plan.state.backend, BackendPlan::HashMap, "`check` refuses all others");
        Ok(Self {
            max_parallelism: plan.max_parallelism,
            #[cfg(feature = "rocksdb")]
            rocksdb,
        })
    }

    /// The state of one partition, and the tables that its first checkpoint can share.
    ///
    /// # Errors
    /// If what is restored cannot be read.
    pub(super) fn make(
        &mut self,
        plan: &OperatorPlan,
        partition: u32,
        groups: &Range<u32>,
        from: From<'_>,
    ) -> Result<(KeyedState, Vec<TableFile>)> {
        let declaration = plan.component.declaration();
        let layout = from.map_or_else(
            || Layout::new(&declaration.states, &plan.ttl),
            |(_, start)| start.layout.clone(),
        );
        #[cfg(feature = "rocksdb")]
        if let Some(rocksdb) = &self.rocksdb
            && declaration.kind.is_keyed()
        {
            let name = format!("{}-{partition}", plan.id);
            let lifetimes = Lifetimes::new(layout.columns.iter().map(Into::into));
            let (store, shared, missing) = rocksdb.store(&name, groups, from, &lifetimes)?;
            let (store, budget) = (Box::new(store), rocksdb.cells_bytes());
            let max = self.max_parallelism;
            let keyed = KeyedState::on_store(layout, lifetimes, max, store, budget);
            return Ok((restore(keyed, from, missing.iter(), groups)?, shared));
        }
        #[cfg(not(feature = "rocksdb"))]
        let _ = partition;
        let keyed = KeyedState::on_heap(layout, self.max_parallelism);
        let all = from.iter().flat_map(|(_, start)| start.snapshots.iter().copied());
        Ok((restore(keyed, from, all, groups)?, Vec::new()))
    }
}

/// Adds what snapshots have of some key groups.
fn restore<'a>(
    mut keyed: KeyedState,
    from: From<'_>,
    snapshots: impl Iterator<Item = &'a PartitionSnapshot>,
    groups: &Range<u32>,
) -> Result<KeyedState> {
    let Some((located, start)) = from else { return Ok(keyed) };
    for snapshot in snapshots {
        reading::for_each_entry(&*located.storage, snapshot, groups, |_, entry| {
            keyed.restore_entry(entry)?;
            keyed.trim()
        })?;
    }
    keyed.set_layout(start.layout.clone(), start.is_settled);
    Ok(keyed)
}

#[cfg(feature = "rocksdb")]
mod on_disk {
    //! Stores of the rocksdb backend.

    use std::ops::Range;
    use std::path::Path;

    use super::From;
    use crate::checkpoint::manifest::{PartitionSnapshot, TableFile};
    use crate::checkpoint::tables;
    use crate::error::Result;
    use crate::job::plan::Plan;
    use crate::state::rocksdb::{Memory, RocksDbStore, WorkingFolder};
    use crate::state::{Lifetimes, LocalTables};

    pub(super) struct RocksDb {
        folder: WorkingFolder,
        memory: Memory,
    }

    impl RocksDb {
        pub(super) fn new(plan: &Plan, bytes: u64, folder: Option<&Path>) -> Result<Self> {
            let with_state = plan
                .operators
                .iter()
                .filter(|operator| operator.component.declaration().kind.is_keyed());
            let partitions = with_state.map(|operator| operator.parallelism as usize).sum();
            let parent = folder.map_or_else(std::env::temp_dir, Path::to_owned);
            let folder = WorkingFolder::create(&parent, &plan.name)?;
            Ok(Self { folder, memory: Memory::new(bytes, partitions) })
        }

        pub(super) fn cells_bytes(&self) -> usize {
            self.memory.cells_bytes()
        }

        /// The store of a partition. Tables of a partition that had the same key groups are used as
        /// they are, and shared with the next checkpoint. Of others the key groups are imported;
        /// what is not in tables is to be added entry by entry.
        pub(super) fn store(
            &self,
            name: &str,
            groups: &Range<u32>,
            from: From<'_>,
            lifetimes: &Lifetimes,
        ) -> Result<(RocksDbStore, Vec<TableFile>, Vec<PartitionSnapshot>)> {
            let folder = self.folder.path().join(name);
            let create = || RocksDbStore::create(&folder, &self.memory, lifetimes);
            let Some((located, start)) = from else {
                return Ok((create()?, Vec::new(), Vec::new()));
            };
            let storage = &*located.storage;
            let mut missing: Vec<PartitionSnapshot> =
                start.snapshots.iter().map(|one| (*one).clone()).collect();
            if let [only] = missing.as_mut_slice()
                && (only.first_group..only.end_group) == *groups
                && let Some(found) = only.tables.take()
            {
                tables::fetch(storage, &found, &folder)?;
                let store = RocksDbStore::open(&folder, &self.memory, lifetimes)?;
                return Ok((store, found, missing));
            }
            let mut store = create()?;
            for (number, one) in missing.iter_mut().enumerate() {
                if let Some(found) = one.tables.take() {
                    let folder = self.folder.path().join(format!("{name}.from-{number}"));
                    // Removed with this value.
                    let local = LocalTables { folder, files: Vec::new() };
                    tables::fetch(storage, &found, &local.folder)?;
                    store.import(&local.folder, groups)?;
                }
            }
            Ok((store, Vec::new(), missing))
        }
    }
}
