//! A plan as people read it: each node below the first that it reads from.
//!
//! ```text
//! ok: job periodic-pv: 1 source, 1 operator, 1 sink
//! state on the heap; a checkpoint every 10s in file://./checkpoints; restart: exponential-delay
//! source clicks: csv from events.csv; event time in field 2 (ms), watermark 1s behind
//!   operator pv: keyed-process, 2 partitions; clicks by the key in field 0
//!     sink out: 2 files in out/
//! ```

use crate::job::plan::{
    BackendPlan, CheckpointMode, Field, FileShape, InputPlan, OperatorPlan, Partitioning, Plan,
    RestartPlan, SinkConnector, SinkPlan, SourceConnector, SourcePlan, TimeUnit, Upstream,
};
use crate::job::{show_bytes, show_duration};
use crate::model::Format;

/// The plan, without a line end at its end.
pub fn render(plan: &Plan) -> String {
    let mut lines = vec![format!(
        "ok: job {}: {}, {}, {}",
        plan.name,
        count(plan.sources.len(), "source"),
        count(plan.operators.len(), "operator"),
        count(plan.sinks.len(), "sink"),
    )];
    lines.push(describe_recovery(plan));
    for (index, source) in plan.sources.iter().enumerate() {
        lines.push(describe_source(source));
        let is_source = |from: Upstream| from == Upstream::Source(index);
        render_readers(plan, &is_source, 1, &mut lines);
    }
    lines.join("\n")
}

/// Where state and checkpoints are, and what happens after a failure.
fn describe_recovery(plan: &Plan) -> String {
    let mut text = match &plan.state.backend {
        BackendPlan::HashMap => "state on the heap".into(),
        BackendPlan::RocksDb { memory_bytes, .. } => {
            format!("state in RocksDB with {} of memory", show_bytes(*memory_bytes))
        }
    };
    text += &match &plan.checkpoint {
        None => "; no checkpoints".into(),
        Some(checkpoint) => {
            let mode = match checkpoint.mode {
                CheckpointMode::ExactlyOnce => "",
                CheckpointMode::AtLeastOnce => ", at-least-once",
            };
            let (every, storage) = (show_duration(checkpoint.policy.interval), &checkpoint.storage);
            format!("; a checkpoint every {every} in {storage}{mode}")
        }
    };
    let restart = match &plan.restart {
        RestartPlan::None => "none",
        RestartPlan::FixedDelay { .. } => "fixed-delay",
        RestartPlan::FailureRate { .. } => "failure-rate",
        RestartPlan::ExponentialDelay(_) => "exponential-delay",
    };
    format!("{text}; restart: {restart}")
}

fn render_readers(
    plan: &Plan,
    is_upstream: &dyn Fn(Upstream) -> bool,
    depth: usize,
    lines: &mut Vec<String>,
) {
    let indent = "  ".repeat(depth);
    for (index, operator) in plan.operators.iter().enumerate() {
        // A node of several inputs stands below the first only.
        if operator.inputs.first().is_some_and(|input| is_upstream(input.from)) {
            lines.push(format!("{indent}{}", describe_operator(plan, operator)));
            let reads_it =
                |from: Upstream| matches!(from, Upstream::Operator(node, _) if node == index);
            render_readers(plan, &reads_it, depth + 1, lines);
        }
    }
    for sink in plan.sinks.iter().filter(|sink| is_upstream(sink.from)) {
        lines.push(format!("{indent}{}", describe_sink(plan, sink)));
    }
}

fn describe_source(source: &SourcePlan) -> String {
    let from = match &source.connector {
        SourceConnector::File(plan) => {
            let new = if plan.watch.is_some() { ", and what comes there" } else { "" };
            format!("from {}{new}", plan.path.display())
        }
        SourceConnector::Stdin => "from standard input".into(),
        SourceConnector::Socket(plan) => format!("from {}", plan.address),
        SourceConnector::Kafka(plan) => {
            let until = if plan.ends { ", up to what is there" } else { "" };
            format!("from {} of Kafka at {}{until}", plan.topics.join(", "), plan.client.brokers)
        }
        SourceConnector::Function(function) => format!("from {}", function.component.name()),
        SourceConnector::Mysql(plan) => {
            let times =
                plan.every.map_or("once".into(), |every| format!("every {}", show_duration(every)));
            format!("from {}, read {times}", plan.server)
        }
        SourceConnector::Generator(plan) => {
            let count = plan.count.map_or("endless".into(), |count| count.to_string());
            format!("{count} generated {}", plan.shape.word())
        }
    };
    let mut text = format!("source {}: {} {from}", source.id, format_name(source.format));
    if matches!(&source.connector, SourceConnector::Kafka(plan) if plan.record_time) {
        text += &format!("; event time of the record, {}", describe_delay(source));
    }
    if let Some(timestamp) = &source.timestamp {
        let unit = match timestamp.unit {
            TimeUnit::Seconds => "s",
            TimeUnit::Milliseconds => "ms",
            TimeUnit::Microseconds => "us",
            TimeUnit::Nanoseconds => "ns",
        };
        text += &format!("; event time in {} ({unit}), ", field_name(&timestamp.field));
        text += &describe_delay(source);
    }
    if let Some(idle_after) = source.idle_after {
        text += &format!(", idle after {}", show_duration(idle_after));
    }
    text
}

fn describe_delay(source: &SourcePlan) -> String {
    match source.out_of_orderness_ms {
        0 => "monotonous".into(),
        delay => {
            let delay = std::time::Duration::from_millis(delay.unsigned_abs());
            format!("watermark {} behind", show_duration(delay))
        }
    }
}

fn describe_operator(plan: &Plan, operator: &OperatorPlan) -> String {
    let kind = operator.component.declaration().kind.name();
    let inputs: Vec<String> =
        operator.inputs.iter().map(|input| describe_input(plan, input)).collect();
    let partitions = count(operator.parallelism as usize, "partition");
    let mut text = format!("operator {}: {kind}, {partitions}", operator.id);
    text += &format!("; reads {}", inputs.join(" and "));
    if !operator.params.is_empty() {
        let params: Vec<String> =
            operator.params.iter().map(|(name, value)| format!("{name} = {value}")).collect();
        text += &format!("; {}", params.join(", "));
    }
    text
}

fn describe_input(plan: &Plan, input: &InputPlan) -> String {
    let partition = match &input.partition {
        Partitioning::Key(field) => format!("by the key in {}", field_name(field)),
        Partitioning::KeyByFunction => "by the key that the function extracts".into(),
        Partitioning::Forward => "one to one".into(),
        Partitioning::Rebalance => "in turn".into(),
        Partitioning::Broadcast => "in every partition".into(),
    };
    format!("{} ({}) {partition}", upstream_name(plan, input.from), format_name(input.format))
}

fn describe_sink(plan: &Plan, sink: &SinkPlan) -> String {
    let partitions = match sink.from {
        Upstream::Source(_) => 1,
        Upstream::Operator(index, _) => plan.operators[index].parallelism as usize,
    };
    let to = match &sink.connector {
        SinkConnector::File { path, replace, shape } => {
            let replace = if *replace { ", replacing those that are there" } else { "" };
            let files = match shape.is_cut() {
                true => format!("files of {}", count(partitions, "partition")),
                false => count(partitions, "file"),
            };
            format!("{files} in {}{}{replace}", path.display(), describe_shape(shape))
        }
        SinkConnector::Kafka(plan) => {
            let guarantee = if plan.exactly_once { "exactly-once" } else { "at-least-once" };
            format!("{} of Kafka at {}, {guarantee}", plan.topic, plan.client.brokers)
        }
        SinkConnector::Stdout => "standard output".into(),
        SinkConnector::Discard => "nowhere".into(),
        SinkConnector::Mysql(plan) => {
            let how = match plan.key.as_slice() {
                [] => "rows added".into(),
                key => format!("rows replaced by {}", key.join(", ")),
            };
            format!("table {} of {}, {how}", plan.table, plan.server)
        }
    };
    let side_output = match sink.from {
        Upstream::Operator(_, output) if output > 0 => {
            format!("; reads {}", upstream_name(plan, sink.from))
        }
        _ => String::new(),
    };
    format!("sink {}: {to}{side_output}", sink.id)
}

/// How a sink's files are cut.
fn describe_shape(shape: &FileShape) -> String {
    let mut text = String::new();
    if let Some(pattern) = &shape.folders {
        text += &format!(", in folders {}", pattern.text());
    }
    let size = shape.roll_bytes.map(show_bytes);
    let age = shape.roll_after.map(show_duration);
    let ends: Vec<String> = size.into_iter().chain(age).collect();
    if !ends.is_empty() {
        text += &format!(", a new file after {}", ends.join(" or "));
    }
    text
}

/// As the job file refers to it.
fn upstream_name(plan: &Plan, upstream: Upstream) -> String {
    match upstream {
        Upstream::Source(index) => plan.sources[index].id.clone(),
        Upstream::Operator(index, 0) => plan.operators[index].id.clone(),
        Upstream::Operator(index, output) => {
            let operator = &plan.operators[index];
            format!("{}.{}", operator.id, operator.component.declaration().outputs[output].name)
        }
    }
}

fn field_name(field: &Field) -> String {
    match field {
        Field::Index(index) => format!("field {index}"),
        Field::Name(name) => format!("field {name:?}"),
    }
}

fn format_name(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Json => "json",
        Format::Lines => "lines",
        Format::Bytes => "bytes",
    }
}

fn count(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
