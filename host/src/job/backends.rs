//! Makes the state of partitions, empty or from a checkpoint, as the job's backend wants it.

use std::ops::Range;

use super::plan::{BackendPlan, OperatorPlan, Plan};
use super::restore::PartitionStart;
use crate::checkpoint::catalog::Located;
use crate::checkpoint::manifest::{PartitionSnapshot, TableFile};
use crate::checkpoint::state_file;
use crate::error::{Error, Result};
use crate::state::KeyedState;

/// The state backend of one attempt.
pub(super) struct Backends {
    max_parallelism: u32,
}

impl Backends {
    /// The backend of a plan.
    ///
    /// # Errors
    /// If its working folder cannot be made.
    pub(super) fn new(plan: &Plan) -> Result<Self> {
        match plan.state.backend {
            BackendPlan::HashMap => Ok(Self { max_parallelism: plan.max_parallelism }),
            BackendPlan::RocksDb { .. } => Err(Error::input("not yet")),
        }
    }

    /// The state of one partition, and the tables that its first checkpoint can share.
    ///
    /// # Errors
    /// If what is restored cannot be read.
    pub(super) fn make(
        &mut self,
        plan: &OperatorPlan,
        _partition: u32,
        groups: &Range<u32>,
        from: Option<(&Located, &PartitionStart<'_>)>,
    ) -> Result<(KeyedState, Vec<TableFile>)> {
        let kinds = plan.component.declaration().states.iter().map(|state| state.kind);
        let mut keyed = KeyedState::on_heap(kinds, self.max_parallelism);
        if let Some((located, start)) = from {
            for snapshot in &start.snapshots {
                restore_entries(&mut keyed, located, snapshot, &start.state_of, groups)?;
            }
        }
        Ok((keyed, Vec::new()))
    }
}

/// Adds the entries of some key groups.
fn restore_entries(
    keyed: &mut KeyedState,
    located: &Located,
    snapshot: &PartitionSnapshot,
    state_of: &[usize],
    groups: &Range<u32>,
) -> Result<()> {
    state_file::read_chunks(&*located.storage, &snapshot.entries, |group, entries| {
        if groups.contains(&group) { keyed.restore(entries, state_of) } else { Ok(()) }
    })
}
