//! The order to change an operator's function at a barrier. It travels with the barrier, so that
//! all partitions, and all who find keys for them, change over at the same moment of the stream.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::operator::Replacement;
use crate::wasm::{Component, OpenContext};

/// What takes the place of an operator's function.
pub struct SwapOrder {
    /// Index of the operator in the plan.
    pub operator: usize,
    /// The new function.
    pub component: Component,
    /// What an instance that extracts keys is told.
    pub context: OpenContext,
    /// For each output of the new function, the index that the output of this name had.
    pub outputs: Vec<Option<usize>>,
    /// Whether state has to move before all of it is where the new function wants it.
    pub unsettles: bool,
    /// Whether a fault of the new function rolls the swap back, whatever the job's policy says,
    /// until the swap is confirmed.
    pub rolls_back: bool,
    /// By partition, the new function open. Each partition takes its own.
    pub replacements: Mutex<Vec<Option<Replacement>>>,
    /// How long the slowest partition has taken for the change so far, in microseconds.
    pub changeover_us: AtomicU64,
}

impl SwapOrder {
    /// What partition `partition` goes on with.
    ///
    /// # Panics
    /// If it has been taken.
    pub(super) fn take(&self, partition: usize) -> Replacement {
        let mut replacements = self.replacements.lock().expect("nobody panics with this lock");
        replacements[partition].take().expect("a barrier passes a partition once")
    }

    /// Takes note of how long a partition has taken.
    pub(super) fn took(&self, time: Duration) {
        let time = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.changeover_us.fetch_max(time, Ordering::Relaxed);
    }
}

impl fmt::Debug for SwapOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SwapOrder({} to {:?})", self.context.operator, self.component)
    }
}
