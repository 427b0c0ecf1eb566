//! What a job file says of Kafka, held against what this build and librdkafka take. Connects to
//! nothing.

use super::graph::Graph;
use super::{Findings, check_field};
use crate::job::plan::CheckpointMode;
use crate::job::plan::kafka::Properties;
use crate::job::spec::{
    At, JobFile, KafkaClientSpec, KafkaSinkSpec, Problem, SinkConnectorSpec, SourceConnectorSpec,
};
use crate::model::Format;

/// Properties that the job decides, and how.
const TAKEN: [(&str, &str); 8] = [
    ("bootstrap.servers", "write `brokers`"),
    ("metadata.broker.list", "write `brokers`"),
    ("group.id", "write `group`"),
    ("enable.auto.commit", "offsets are in the job's checkpoints"),
    ("auto.offset.reset", "write `start`"),
    ("enable.partition.eof", "write `until`"),
    ("transactional.id", "it is made of the names of job and sink"),
    ("partition.assignment.strategy", "one reader has all partitions"),
];

#[derive(Clone, Copy)]
enum Role {
    Source,
    Sink,
}

/// Checks all sources and sinks that are Kafka's.
pub fn check(file: &JobFile, graph: &Graph, findings: &mut Findings) {
    for source in &file.sources {
        let Some(SourceConnectorSpec::Kafka(kafka)) = &source.connector else { continue };
        check_client(&kafka.client, Role::Source, findings);
        if let Some(envelope) = kafka.envelope.as_ref().filter(|envelope| ***envelope)
            && *source.format != Format::Json
        {
            let problem = envelope.problem("makes json, but `format` is another one");
            findings.problem(problem.hint("add `format = \"json\"`"));
        }
    }
    for (sink, from) in file.sinks.iter().zip(&graph.sinks) {
        let Some(SinkConnectorSpec::Kafka(kafka)) = &sink.connector else { continue };
        check_client(&kafka.client, Role::Sink, findings);
        let format = from.and_then(|edge| edge.output).map(|output| output.format);
        check_shape(kafka, format, findings);
        check_guarantee(file, kafka, findings);
    }
}

fn check_client(client: &KafkaClientSpec, role: Role, findings: &mut Findings) {
    if !cfg!(feature = "kafka") {
        let problem = client.brokers.problem("is for Kafka, which this tidegate is built without");
        findings.problem(problem.hint("build tidegate with its default features"));
        return;
    }
    for property in &client.properties {
        if let Some(problem) = problem_of(property, role) {
            findings.problem(problem);
        }
    }
}

fn problem_of(property: &At<(String, String)>, role: Role) -> Option<Problem> {
    let (name, _) = &property.value;
    if let Some((_, instead)) = TAKEN.iter().find(|(taken, _)| taken == name) {
        let problem = property.problem(format!("sets {name:?}, which the job decides"));
        return Some(problem.hint(*instead));
    }
    let properties = Properties(vec![property.value.clone()]);
    if let Err((_, variable)) = properties.resolve(|name| std::env::var(name).ok()) {
        let problem = property.problem(format!("names ${{{variable}}}, which is not set"));
        return Some(problem.hint("set this variable of the environment"));
    }
    let wrong = refusal(&properties, role)?;
    let problem = property.problem(format!("is refused: {wrong}"));
    Some(problem.hint("names and values are those of librdkafka's CONFIGURATION.md"))
}

#[cfg(feature = "kafka")]
fn refusal(property: &Properties, role: Role) -> Option<String> {
    let role = match role {
        Role::Source => crate::flow::Role::Consumer,
        Role::Sink => crate::flow::Role::Producer,
    };
    crate::flow::check_properties(property, role).err()
}

#[cfg(not(feature = "kafka"))]
fn refusal(_property: &Properties, _role: Role) -> Option<String> {
    None
}

/// `format` is that of the records, if it is known.
fn check_shape(kafka: &KafkaSinkSpec, format: Option<Format>, findings: &mut Findings) {
    let envelope = kafka.envelope.as_ref().filter(|envelope| ***envelope);
    if let Some(key) = &kafka.key {
        if envelope.is_some() {
            let problem = key.problem("goes with records that are values, not with `envelope`");
            findings.problem(problem.hint("leave it out: the key is in the envelope"));
        } else if let Some(format) = format {
            check_field(key, &key.value, format, findings);
        }
    }
    if let Some(envelope) = envelope
        && format.is_some_and(|format| format != Format::Json)
    {
        let problem = envelope.problem("needs json, but the records are written otherwise");
        findings.problem(problem.hint("let the function before the sink send out json"));
    }
}

fn check_guarantee(file: &JobFile, kafka: &KafkaSinkSpec, findings: &mut Findings) {
    let Some(exactly_once) = &kafka.exactly_once else { return };
    let mode = file.checkpoint.as_ref().map(|checkpoint| checkpoint.mode);
    if !**exactly_once || mode == Some(CheckpointMode::ExactlyOnce) {
        return;
    }
    let (what, hint) = match mode {
        None => ("is exactly-once, but the job takes no checkpoints", "add `[checkpoint]`"),
        Some(_) => (
            "is exactly-once, but `checkpoint.mode` is not",
            "write `mode = \"exactly-once\"` there, or leave one of the two out",
        ),
    };
    findings.problem(exactly_once.problem(what).hint(hint));
}

/// Whether a sink writes in transactions.
pub fn is_exactly_once(kafka: &KafkaSinkSpec, mode: Option<CheckpointMode>) -> bool {
    let wanted = kafka.exactly_once.as_ref().is_none_or(|wanted| **wanted);
    wanted && mode == Some(CheckpointMode::ExactlyOnce)
}
