//! The dataflow: sources, operators and sinks as tasks that hand batches to each other.
//!
//! A task's work advances by `step`, which never blocks: production drives each task with a thread
//! of its own, a test can drive all of them with one loop. Batches, watermarks and ends travel in
//! band through bounded channels; a full channel is the backpressure.
//!
//! Limits: a batch holds at most [`BATCH_RECORDS_MAX`] records or a little over [`BATCH_BYTES_MAX`]
//! bytes, a channel [`CHANNEL_ITEMS_MAX`] items.

mod captures;
mod channel;
mod connectors;
mod control;
mod dead_letters;
mod extractor;
mod fields;
mod inputs;
mod lane;
mod metrics;
mod operator;
mod outlet;
mod sink;
mod snapshotter;
mod source;
mod source_times;
mod swap;
mod task;

pub use captures::{captures_to, read_fixture};
pub use channel::{Receiver, Sender, Waker, channel};
pub(crate) use connectors::file::read_header;
pub(crate) use connectors::function;
#[cfg(feature = "kafka")]
pub use connectors::kafka::{Role, check_properties};
pub use connectors::{generator::Generator, open_monitor, open_source};
pub use control::{OperatorCommand, OperatorControl, SourceCommand, SourceControl};
pub use dead_letters::{DeadLetters, Rejects};
pub use extractor::Extractor;
pub use fields::Wanted;
pub use inputs::{InputChannel, Inputs};
pub use lane::{Job, Lane, Lanes, ThreadLanes};
pub use metrics::{Metrics, NodeKind, NodeMetrics};
pub(crate) use operator::node_fault_error;
pub use operator::{OperatorParts, OperatorRejections, OperatorTask};
pub use outlet::{Edge, EdgeKey, Outlet, Outlets};
pub use sink::{Prepared, PreparedFile, SinkSettings, SinkWriter, open_logged_sink, open_sink};
pub use snapshotter::{PartitionOf, Snapshotter};
pub use source::{SourceSettings, SourceTask};
pub use swap::SwapOrder;
pub use task::{Step, StopFlag, StopReason, Task, drive};

use std::sync::Arc;

use crate::checkpoint::{Acknowledgement, Target};
use crate::error::Result;
use crate::model::Batch;
use crate::operator::ShadowReport;

/// The most records in a batch.
pub const BATCH_RECORDS_MAX: usize = 1024;

/// A batch that has that many bytes is full, whatever its number of records.
pub const BATCH_BYTES_MAX: usize = 1 << 20;

/// The most items that wait in a channel.
pub const CHANNEL_ITEMS_MAX: usize = 16;

/// After that many steps a task sends on what waits in batches that are not full, so that a
/// partition that gets few records still learns of the time.
pub const STEPS_UNTIL_FLUSH: u32 = 8;

/// What travels between two tasks, in order.
#[derive(Debug)]
pub enum Item {
    /// Records. Each carries the watermark that was in force before it.
    Batch(Box<Batch>),
    /// All records to come are expected to be later than this.
    Watermark(i64),
    /// Nothing will come for a while: do not wait for this side's watermark.
    Idle,
    /// What came before belongs to a checkpoint, what comes after does not.
    Barrier(Barrier),
    /// Nothing will come any more. If the input ended by itself, `Watermark(TIME_END)` came before.
    End,
}

/// Cuts the streams at one moment of the job.
#[derive(Debug, Clone)]
pub struct Barrier {
    /// The checkpoint's number.
    pub id: u64,
    /// Where tasks write their state; none = they write none, and only output is prepared.
    pub target: Option<Target>,
    /// The operator that changes its function with it.
    pub swap: Option<Arc<SwapOrder>>,
}

/// What tasks tell the coordinator.
#[derive(Debug)]
pub enum Event {
    /// A barrier has passed a task.
    Acknowledged(Box<Acknowledgement>),
    /// The source of this index has no more records.
    Exhausted(usize),
    /// What a partition found while it ran another function beside its own: the operator's index
    /// and the report.
    Shadowed(usize, Box<ShadowReport>),
    /// There is something to do for whoever conducts the job.
    Nudge,
    /// A task is gone, in good order or not. Told by whoever drives it.
    Ended(Result<()>),
}

impl From<Acknowledgement> for Event {
    fn from(acknowledgement: Acknowledgement) -> Self {
        Self::Acknowledged(Box::new(acknowledgement))
    }
}
