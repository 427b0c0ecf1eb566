//! What a job does with Kafka. Plain data: the connector is in `flow/connectors/kafka/`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::Field;
use crate::model::Format;

/// How brokers are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaClientPlan {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// How long brokers that cannot be reached are tried again until the job fails. Default 30 s.
    pub timeout: Duration,
    /// Further properties of librdkafka.
    pub properties: Properties,
}

/// Names and values of librdkafka's properties. A value may name variables of the environment, as
/// in `${KAFKA_PASSWORD}`, which only a client that connects puts in: neither messages nor
/// checkpoints see them.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Properties(pub Vec<(String, String)>);

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Properties {
    /// The properties with the environment's variables put in. `variable` tells one, if it is set.
    ///
    /// # Errors
    /// With the names of the property and of the variable that is not set.
    pub fn resolve(
        &self,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<(String, String)>, (String, String)> {
        let resolve = |(name, value): &(String, String)| {
            put_in(value, &variable)
                .map(|value| (name.clone(), value))
                .map_err(|unset| (name.clone(), unset))
        };
        self.0.iter().map(resolve).collect()
    }
}

/// Replaces each `${NAME}`.
fn put_in(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let Some((name, after)) = after.split_once('}') else { break };
        whole.push_str(before);
        whole.push_str(&variable(name).ok_or_else(|| name.to_owned())?);
        rest = after;
    }
    whole.push_str(rest);
    Ok(whole)
}

/// A source of records of topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSourcePlan {
    /// The brokers.
    pub client: KafkaClientPlan,
    /// The topics.
    pub topics: Vec<String>,
    /// Where a job begins that goes on from no checkpoint. Default earliest.
    pub start: KafkaStart,
    /// Whether the source ends with what was there when it was opened. Default no.
    pub ends: bool,
    /// Whether a record is a JSON object that holds key, headers and value. Default no: the value.
    pub envelope: bool,
    /// How often to look for new partitions. Default 1 min; none = never.
    pub discovery_interval: Option<Duration>,
    /// The group that librdkafka is told.
    pub group: String,
    /// Whether offsets are committed for this group with each checkpoint, for those who watch it.
    pub commits_offsets: bool,
    /// Whether the event time of a record is the time that Kafka has for it.
    pub record_time: bool,
}

/// Where a source begins in each partition of its topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KafkaStart {
    /// With what is there.
    Earliest,
    /// With what comes.
    Latest,
    /// With the first record of this time or later, in milliseconds since 1970.
    Timestamp(i64),
    /// At these offsets, by `topic[partition]`; with what is there in other partitions.
    Offsets(BTreeMap<String, u64>),
}

/// A sink that writes a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSinkPlan {
    /// The brokers.
    pub client: KafkaClientPlan,
    /// The topic.
    pub topic: String,
    /// How records are made into messages.
    pub shape: KafkaShape,
    /// Whether records are written in transactions, with the checkpoints of the job.
    pub exactly_once: bool,
    /// By which Kafka knows the sink, whichever process runs it.
    pub transactional_id: String,
}

/// How a record is made into a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaShape {
    /// How records are written.
    pub format: Format,
    /// Which field is the key; none = messages have no key.
    pub key: Option<Field>,
    /// Whether a record is a JSON object that holds key, headers and value.
    pub envelope: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_and_never_shown() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let properties = Properties(vec![
            pair("sasl.password", "a${SECRET}b${SECRET}"),
            pair("client.id", "$x {y} ${"),
        ]);
        let set = |name: &str| (name == "SECRET").then(|| "s3cret".to_owned());
        let resolved = properties.resolve(set).expect("it is set");
        assert_eq!(
            resolved,
            [pair("sasl.password", "as3cretbs3cret"), pair("client.id", "$x {y} ${")]
        );
        assert_eq!(properties.resolve(|_| None), Err(pair("sasl.password", "SECRET")));
        assert_eq!(format!("{properties:?}"), "[\"sasl.password\", \"client.id\"]");
    }
}
