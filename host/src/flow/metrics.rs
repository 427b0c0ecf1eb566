//! What a running job counts: read by progress and reports while tasks write.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::job::plan::Plan;

/// The counters of a job.
#[derive(Debug, Default)]
pub struct Metrics {
    /// One for each node, in the order of the plan: sources, operators, sinks.
    pub nodes: Vec<Arc<NodeMetrics>>,
}

impl Metrics {
    /// Counters at zero for the nodes of a plan.
    pub fn of(plan: &Plan) -> Self {
        let sources = plan.sources.iter().map(|node| (&node.id, NodeKind::Source));
        let operators = plan.operators.iter().map(|node| (&node.id, NodeKind::Operator));
        let sinks = plan.sinks.iter().map(|node| (&node.id, NodeKind::Sink));
        let nodes = sources.chain(operators).chain(sinks);
        Self { nodes: nodes.map(|(id, kind)| NodeMetrics::new(id, kind)).collect() }
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// Brings records in.
    Source,
    /// Runs a function.
    Operator,
    /// Takes records out.
    Sink,
}

/// The counters of a node, summed over its partitions.
#[derive(Debug)]
pub struct NodeMetrics {
    /// The id in the job file.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// Records that came in; for a source, lines that were read.
    pub records_in: AtomicU64,
    /// Records that went out.
    pub records_out: AtomicU64,
    /// Records that could not be decoded.
    pub malformed: AtomicU64,
    /// Records and timers at which the function faulted.
    pub faults: AtomicU64,
}

impl NodeMetrics {
    /// Counters at zero.
    fn new(id: &str, kind: NodeKind) -> Arc<Self> {
        let zero = || AtomicU64::new(0);
        Arc::new(Self {
            id: id.into(),
            kind,
            records_in: zero(),
            records_out: zero(),
            malformed: zero(),
            faults: zero(),
        })
    }

    /// Adds to a counter. Counters order nothing, so the cheapest way will do.
    pub fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
