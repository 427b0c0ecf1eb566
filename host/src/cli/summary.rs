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

use super::progress::grouped;
use crate::flow::NodeKind;
use crate::job::plan::{FaultPolicy, MalformedPolicy, Plan, SinkConnector};
use crate::job::{NodeReport, Report, Status, show_bytes};

/// The summary, without a line end at its end.
pub fn render(report: &Report, plan: &Plan) -> String {
    let mut lines = vec![headline(report)];
    lines.extend(table(&report.nodes));
    let dead_letters = writers_of_dead_letters(plan);
    let letters = |node: &NodeReport| {
        node.malformed + node.faults > 0 && dead_letters.contains(&node.id.as_str())
    };
    if report.nodes.iter().any(letters) {
        lines.push(format!("Dead letters are in {}.", plan.dead_letters.display()));
    }
    for sink in &plan.sinks {
        if let SinkConnector::File { path, .. } = &sink.connector {
            lines.push(format!("The output of {} is in {}.", sink.id, path.display()));
        }
    }
    lines.join("\n")
}

fn headline(report: &Report) -> String {
    let word = match report.status {
        Status::Finished => "Finished",
        Status::Stopped | Status::Failed => "Stopped",
        Status::Cancelled => "Cancelled",
        Status::OutputClosed => "Stopped, since nobody reads the output any more,",
    };
    let elapsed = match report.elapsed_ms {
        short @ 0..1000 => format!("{short} ms"),
        long => format!("{:.1} s", long as f64 / 1000.0),
    };
    let memory = match report.peak_memory_bytes {
        Some(bytes) => format!(", {} of memory at most", show_bytes(bytes)),
        None => String::new(),
    };
    format!("{word} in {elapsed}{memory}.")
}

/// The nodes that write dead letters rather than leaving records out.
fn writers_of_dead_letters(plan: &Plan) -> Vec<&str> {
    let sources = plan.sources.iter();
    let sources = sources.map(|source| (&source.id, source.malformed, FaultPolicy::Fail));
    let operators = plan.operators.iter();
    let operators = operators.map(|node| (&node.id, node.malformed, node.on_fault));
    let writes = |(_, malformed, on_fault): &(&String, MalformedPolicy, FaultPolicy)| {
        *malformed == MalformedPolicy::DeadLetter || *on_fault == FaultPolicy::DeadLetter
    };
    sources.chain(operators).filter(writes).map(|(id, ..)| id.as_str()).collect()
}

/// One line a node, in columns.
pub fn table(nodes: &[NodeReport]) -> Vec<String> {
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
    use crate::job::plan::{
        BackendPlan, FileShape, RestartPlan, SinkPlan, SourceConnector, SourcePlan, StatePlan,
        Upstream,
    };
    use crate::model::Format;

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
        let nodes = [
            node("clicks", NodeKind::Source, 4_000_000, 4_000_000, 0),
            node("pv", NodeKind::Operator, 4_000_000, 100_000, 12),
            node("out", NodeKind::Sink, 100_000, 0, 0),
        ];
        assert_eq!(
            table(&nodes),
            [
                "  source clicks  4,000,000 in  4,000,000 out",
                "  operator pv    4,000,000 in    100,000 out  12 malformed",
                "  sink out         100,000 in",
            ]
        );
    }

    #[test]
    fn the_summary_says_where_the_output_is() {
        let report = Report {
            job: "j".into(),
            status: Status::Finished,
            elapsed_ms: 1_840,
            peak_memory_bytes: Some(64 << 20),
            restarts: 0,
            checkpoints: crate::job::control::CheckpointsStatus::default(),
            nodes: vec![node("clicks", NodeKind::Source, 3, 2, 1)],
        };
        let source = SourcePlan {
            id: "clicks".into(),
            connector: SourceConnector::Stdin,
            format: Format::Lines,
            timestamp: None,
            out_of_orderness_ms: 0,
            idle_after: None,
            malformed: MalformedPolicy::DeadLetter,
            line_bytes_max: 100,
        };
        let sink = SinkPlan {
            id: "out".into(),
            from: Upstream::Source(0),
            connector: SinkConnector::File {
                path: "out/".into(),
                replace: false,
                shape: FileShape::default(),
            },
        };
        let plan = Plan {
            name: "j".into(),
            folder: "".into(),
            max_parallelism: 128,
            state: StatePlan { backend: BackendPlan::HashMap },
            checkpoint: None,
            restart: RestartPlan::None,
            dead_letters: "dead".into(),
            sources: vec![source],
            operators: Vec::new(),
            sinks: vec![sink],
            warnings: Vec::new(),
        };
        assert_eq!(
            render(&report, &plan),
            "Finished in 1.8 s, 64.0 MiB of memory at most.\n  \
             source clicks  3 in  2 out  1 malformed\n\
             Dead letters are in dead.\n\
             The output of out is in out/."
        );
    }
}
