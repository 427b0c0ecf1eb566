//! What a run came to, for people and for machines (`run --report`).

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::control::CheckpointsStatus;
use super::requests::RunStatus;
use crate::flow::{Metrics, NodeKind, StopReason};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// The input ended and everything was processed.
    Finished,
    /// Somebody asked the job to stop, and it did so in good order.
    Stopped,
    /// Somebody asked the job to end at once.
    Cancelled,
    /// Nobody read the standard output any more.
    OutputClosed,
    /// A task failed.
    Failed,
}

/// What a run came to.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The job's name.
    pub job: String,
    /// How it ended.
    pub status: Status,
    /// From start to end, in milliseconds.
    pub elapsed_ms: u64,
    /// The most memory that the process used, in bytes; none where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Restarts after a failure.
    pub restarts: u32,
    /// What became of checkpoints.
    pub checkpoints: CheckpointsStatus,
    /// Sources, operators, sinks, in the order of the plan.
    pub nodes: Vec<NodeReport>,
}

/// What a node did, summed over its partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeReport {
    /// The id in the job file.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// Records that came in; for a source, lines that were read.
    pub records_in: u64,
    /// Records that went out; for a sink 0.
    pub records_out: u64,
    /// Records that could not be decoded.
    pub malformed: u64,
    /// Records and timers at which the function faulted.
    pub faults: u64,
}

impl NodeReport {
    /// Those of a job, as they stand.
    pub(super) fn all(metrics: &Metrics) -> Vec<Self> {
        let node = |node: &std::sync::Arc<crate::flow::NodeMetrics>| Self {
            id: node.id.clone(),
            kind: node.kind,
            records_in: node.records_in.load(Ordering::Relaxed),
            records_out: node.records_out.load(Ordering::Relaxed),
            malformed: node.malformed.load(Ordering::Relaxed),
            faults: node.faults.load(Ordering::Relaxed),
        };
        metrics.nodes.iter().map(node).collect()
    }
}

impl Report {
    pub(super) fn new(
        job: &str,
        reason: Option<StopReason>,
        elapsed: Duration,
        metrics: &Metrics,
        run: &RunStatus,
    ) -> Self {
        Self {
            job: job.into(),
            status: match reason {
                None => Status::Finished,
                Some(StopReason::OutputClosed) => Status::OutputClosed,
                Some(StopReason::Asked) => Status::Stopped,
                Some(StopReason::Cancelled) => Status::Cancelled,
                Some(StopReason::Failed) => Status::Failed,
            },
            elapsed_ms: u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            peak_memory_bytes: peak_memory_bytes(),
            restarts: run.restarts,
            checkpoints: run.checkpoints(),
            nodes: NodeReport::all(metrics),
        }
    }
}

/// The high-water mark of the process's resident memory, as Linux tells it.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
