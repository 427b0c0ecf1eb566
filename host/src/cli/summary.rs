//! What a run came to, as people read it at its end.
//!
//! ```text
//! Finished in 1.8 s, 64 MiB at most.
//!   source clicks   4,000,000 in   4,000,000 out
//!   operator pv     4,000,000 in     100,000 out   12 malformed
//!   sink out          100,000 in
//! Dead letters are in dead-letters/.
//! The output of out is in out/.
//! ```

use std::path::PathBuf;

use super::progress::grouped;
use crate::flow::NodeKind;
use crate::job::plan::{FaultPolicy, MalformedPolicy, Plan, SinkConnector};
use crate::job::{NodeReport, Report, Status, show_bytes};

/// Where a job writes: kept of the plan, which the run takes.
pub struct Outputs {
    dead_letters: PathBuf,
    /// Nodes that write dead letters rather than leaving records out.
    writes_dead_letters: Vec<String>,
    /// Sinks that write files, and where.
    files: Vec<(String, PathBuf)>,
}

/// Where the job writes.
pub fn outputs(plan: &Plan) -> Outputs {
    let sources = plan.sources.iter();
    let sources = sources.map(|source| (&source.id, source.malformed, FaultPolicy::Fail));
    let operators = plan.operators.iter();
    let operators = operators.map(|node| (&node.id, node.malformed, node.on_fault));
    let writes = |(_, malformed, on_fault): &(&String, MalformedPolicy, FaultPolicy)| {
        *malformed == MalformedPolicy::DeadLetter || *on_fault == FaultPolicy::DeadLetter
    };
    let files = plan.sinks.iter().filter_map(|sink| match &sink.connector {
        SinkConnector::File { path, .. } => Some((sink.id.clone(), path.clone())),
        SinkConnector::Stdout | SinkConnector::Discard => None,
    });
    Outputs {
        dead_letters: plan.dead_letters.clone(),
        writes_dead_letters: sources
            .chain(operators)
            .filter(writes)
            .map(|(id, ..)| id.clone())
            .collect(),
        files: files.collect(),
    }
}

/// The summary, without a line end at its end.
pub fn render(report: &Report, outputs: &Outputs) -> String {
    let word = match report.status {
        Status::Finished => "Finished",
        Status::Stopped => "Stopped",
        Status::OutputClosed => "Stopped, since nobody reads the standard output any more,",
    };
    let seconds = report.elapsed_ms as f64 / 1000.0;
    let memory = match report.peak_memory_bytes {
        Some(bytes) => format!(", {} of memory at most", show_bytes(bytes)),
        None => String::new(),
    };
    let mut lines = vec![format!("{word} in {seconds:.1} s{memory}.")];
    lines.extend(table(&report.nodes));
    let letters = |node: &NodeReport| {
        node.malformed + node.faults > 0 && outputs.writes_dead_letters.contains(&node.id)
    };
    if report.nodes.iter().any(letters) {
        lines.push(format!("Dead letters are in {}.", outputs.dead_letters.display()));
    }
    for (id, path) in &outputs.files {
        lines.push(format!("The output of {id} is in {}.", path.display()));
    }
    lines.join("\n")
}

/// One line a node, in columns.
fn table(nodes: &[NodeReport]) -> Vec<String> {
    let row = |node: &NodeReport| {
        let kind = match node.kind {
            NodeKind::Source => "source",
            NodeKind::Operator => "operator",
            NodeKind::Sink => "sink",
        };
        let records_out = match node.kind {
            NodeKind::Sink => String::new(),
            NodeKind::Source | NodeKind::Operator => format!("{} out", grouped(node.records_out)),
        };
        let some = |count: u64, what: &str| match count {
            0 => String::new(),
            count => format!("  {} {what}", grouped(count)),
        };
        (
            format!("{kind} {}", node.id),
            format!("{} in", grouped(node.records_in)),
            records_out,
            some(node.malformed, "malformed") + &some(node.faults, "faults"),
        )
    };
    let rows: Vec<_> = nodes.iter().map(row).collect();
    let width = |column: fn(&(String, String, String, String)) -> &str| {
        rows.iter().map(|row| column(row).chars().count()).max().unwrap_or_default()
    };
    let (first, second, third) = (width(|row| &row.0), width(|row| &row.1), width(|row| &row.2));
    let show = |(name, records_in, records_out, rest): &(String, String, String, String)| {
        let line = format!("  {name:first$}  {records_in:>second$}  {records_out:>third$}{rest}");
        line.trim_end().to_owned()
    };
    rows.iter().map(show).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(
        id: &str,
        kind: NodeKind,
        records_in: u64,
        records_out: u64,
        malformed: u64,
    ) -> NodeReport {
        NodeReport { id: id.into(), kind, records_in, records_out, malformed, faults: 0 }
    }

    #[test]
    fn counts_stand_in_columns() {
        let nodes = vec![
            node("clicks", NodeKind::Source, 4_000_000, 4_000_000, 0),
            node("pv", NodeKind::Operator, 4_000_000, 100_000, 12),
            node("out", NodeKind::Sink, 100_000, 100_000, 0),
        ];
        let report = Report {
            status: Status::Finished,
            elapsed_ms: 1_840,
            peak_memory_bytes: Some(64 << 20),
            nodes,
        };
        let outputs = Outputs {
            dead_letters: "dead".into(),
            writes_dead_letters: vec!["pv".into()],
            files: vec![("out".into(), "out/".into())],
        };
        assert_eq!(
            render(&report, &outputs),
            "Finished in 1.8 s, 64.0 MiB of memory at most.\n  \
             source clicks  4,000,000 in  4,000,000 out\n  \
             operator pv    4,000,000 in    100,000 out  12 malformed\n  \
             sink out         100,000 in\n\
             Dead letters are in dead.\n\
             The output of out is in out/."
        );
    }
}
