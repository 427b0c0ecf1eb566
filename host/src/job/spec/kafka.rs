//! The keys of `connector = "kafka"`, of sources and of sinks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::document::Value;
use super::section::{At, Mismatch, Section};
use super::values;
use crate::job::plan::Field;
use crate::job::plan::kafka::KafkaStart;

/// How long brokers that cannot be reached are tried again.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// How often to look for new partitions.
const DISCOVERY_DEFAULT: Duration = Duration::from_secs(60);

/// How brokers are reached.
#[derive(Debug)]
pub struct KafkaClientSpec {
    /// `host:port`, separated by commas.
    pub brokers: At<String>,
    /// How long brokers that cannot be reached are tried again.
    pub timeout: Duration,
    /// Further properties of librdkafka.
    pub properties: Vec<At<(String, String)>>,
}

/// A source of records of topics.
#[derive(Debug)]
pub struct KafkaSourceSpec {
    /// The brokers.
    pub client: KafkaClientSpec,
    /// The topics.
    pub topics: At<Vec<String>>,
    /// Where it begins.
    pub start: KafkaStart,
    /// Whether it ends with what was there when it was opened.
    pub ends: bool,
    /// Whether records are JSON objects that hold key, headers and value.
    pub envelope: Option<At<bool>>,
    /// How often to look for new partitions; none = never.
    pub discovery_interval: Option<Duration>,
    /// For which group offsets are committed.
    pub group: Option<String>,
}

/// A sink that writes a topic.
#[derive(Debug)]
pub struct KafkaSinkSpec {
    /// The brokers.
    pub client: KafkaClientSpec,
    /// The topic.
    pub topic: At<String>,
    /// Which field is the key.
    pub key: Option<At<Field>>,
    /// Whether records are JSON objects that hold key, headers and value.
    pub envelope: Option<At<bool>>,
    /// Whether records are written in transactions; none = as the job's checkpoints are.
    pub exactly_once: Option<At<bool>>,
}

fn read_client(section: &mut Section<'_, '_>) -> Option<KafkaClientSpec> {
    let brokers = section.required("brokers", "\"localhost:9092\"", brokers);
    let timeout = section.or("timeout", values::positive_duration, TIMEOUT_DEFAULT);
    let properties = section.section("properties").map(|mut section| section.entries(property));
    let flat = |(name, at): (String, At<Vec<(String, String)>>)| {
        let place = at.with(());
        at.value.into_iter().map(move |(rest, value)| place.with((format!("{name}{rest}"), value)))
    };
    let properties = properties.unwrap_or_default().into_iter().flat_map(flat).collect();
    Some(KafkaClientSpec { brokers: brokers?, timeout, properties })
}

/// A property; or several, since `a.b` without quotes is a table in TOML.
fn property(value: &Value) -> Result<Vec<(String, String)>, Mismatch> {
    let Value::Table(table) = value else {
        return Ok(vec![(String::new(), values::parameter(value)?)]);
    };
    let mut properties = Vec::new();
    for (name, node) in table {
        let below = property(&node.value)?.into_iter();
        properties.extend(below.map(|(rest, value)| (format!(".{name}{rest}"), value)));
    }
    Ok(properties)
}

/// Reads what is particular to a source.
pub fn read_source(section: &mut Section<'_, '_>) -> Option<KafkaSourceSpec> {
    let client = read_client(section);
    let topics = section.required("topics", "[\"orders\"]", topics);
    let start = read_start(section);
    let ends = section.or("until", until, false);
    let envelope = section.optional("envelope", values::boolean);
    let discovery = section.optional("discovery_interval", interval);
    let group = section.optional("group", values::text).map(|at| at.value);
    Some(KafkaSourceSpec {
        client: client?,
        topics: topics?,
        start: start?,
        ends,
        envelope,
        discovery_interval: discovery.map_or(Some(DISCOVERY_DEFAULT), |at| at.value),
        group,
    })
}

/// Reads what is particular to a sink.
pub fn read_sink(section: &mut Section<'_, '_>) -> Option<KafkaSinkSpec> {
    let client = read_client(section);
    let topic = section.required("topic", "\"orders\"", values::text);
    let key = section.optional("key", values::field);
    let envelope = section.optional("envelope", values::boolean);
    let exactly_once = section.optional("guarantee", guarantee);
    Some(KafkaSinkSpec { client: client?, topic: topic?, key, envelope, exactly_once })
}

fn read_start(section: &mut Section<'_, '_>) -> Option<KafkaStart> {
    if !section.is_table("start") {
        let is_there = section.has("start");
        let start = section.optional("start", start_word);
        return match start {
            Some(start) => Some(start.value),
            None => (!is_there).then_some(KafkaStart::Earliest),
        };
    }
    let mut start = section.section("start")?;
    let time = start.optional("timestamp", values::integer);
    let offsets = start.section("offsets").map(|mut one| one.entries(values::count));
    let found = match (time, offsets) {
        (Some(time), None) => Some(KafkaStart::Timestamp(time.value)),
        (None, Some(offsets)) => {
            let offsets = offsets.into_iter().map(|(split, at)| (split, at.value));
            Some(KafkaStart::Offsets(offsets.collect::<BTreeMap<_, _>>()))
        }
        _ => {
            let problem = start.at(()).problem("is neither a time nor offsets");
            start.report(problem.hint(
                "write `{ timestamp = 1700000000000 }` or `{ offsets = { \"orders[0]\" = 5 } }`",
            ));
            None
        }
    };
    start.finish();
    found
}

fn start_word(value: &Value) -> Result<KafkaStart, Mismatch> {
    let words = [("earliest", &KafkaStart::Earliest), ("latest", &KafkaStart::Latest)];
    values::word(value, &words).cloned()
}

fn until(value: &Value) -> Result<bool, Mismatch> {
    values::word(value, &[("latest", true), ("stopped", false)])
}

fn guarantee(value: &Value) -> Result<bool, Mismatch> {
    values::word(value, &[("exactly-once", true), ("at-least-once", false)])
}

/// The event time of a record is the one that Kafka has for it.
pub fn record_time(value: &Value) -> Result<(), Mismatch> {
    values::word(value, &[("record", ())])
}

fn interval(value: &Value) -> Result<Option<Duration>, Mismatch> {
    match value {
        Value::Text(text) if text == "never" => Ok(None),
        _ => values::positive_duration(value).map(Some),
    }
}

fn brokers(value: &Value) -> Result<String, Mismatch> {
    let brokers = values::text(value)?;
    let is_address = |broker: &str| {
        let address = broker.trim().rsplit_once(':');
        address.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
    };
    match brokers.split(',').all(is_address) {
        true => Ok(brokers),
        false => {
            let hint = "write host and port of each, as in \"localhost:9092,localhost:9093\"";
            values::mismatch(value, "a list of brokers", hint)
        }
    }
}

/// One topic, or a list of them.
fn topics(value: &Value) -> Result<Vec<String>, Mismatch> {
    let mut topics = match value {
        Value::Text(_) => vec![values::text(value)?],
        Value::Array(nodes) => {
            nodes.iter().map(|node| values::text(&node.value)).collect::<Result<_, _>>()?
        }
        other => return values::mismatch(other, "topics", "write `[\"orders\"]`"),
    };
    topics.sort_unstable();
    topics.dedup();
    match topics.is_empty() {
        true => values::mismatch(value, "topics", "name at least one"),
        false => Ok(topics),
    }
}
