//! A barrier on its way, and what the coordinator knows of it.

use std::collections::BTreeSet;

use super::manifest::{Kind, PartitionSnapshot, SourceState};
use super::protocol::{Policy, RequestId, SwapPlan, Target};
use crate::model::millis;

/// What a checkpoint is taken for.
#[derive(Clone)]
pub(super) enum Purpose {
    Periodic,
    Savepoint(RequestId),
    /// An operator changes its function at its barrier.
    Swap(Box<SwapPlan>),
    /// The job ends with it: because its input has, or because somebody asked.
    Last(Option<RequestId>),
}

pub(super) struct InFlight {
    pub(super) purpose: Purpose,
    pub(super) kind: Kind,
    pub(super) target: Option<Target>,
    pub(super) started_ms: i64,
    pub(super) waiting: BTreeSet<usize>,
    pub(super) sources: Vec<SourceState>,
    pub(super) partitions: Vec<(usize, usize, PartitionSnapshot)>,
}

impl InFlight {
    /// When it is given up.
    pub(super) fn times_out(&self, policy: &Policy) -> i64 {
        self.started_ms.saturating_add(millis(policy.timeout))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    /// All input has ended: the last checkpoint is due.
    Ending,
    /// Somebody asked: sources are held, the last checkpoint is under way.
    Stopping,
    Finished,
}
