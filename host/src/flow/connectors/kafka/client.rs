//! What all clients have in common: their settings, and what becomes of what librdkafka says.

use std::sync::{Arc, Mutex, MutexGuard};

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::ProducerContext;

use crate::error::{Error, Result};
use crate::job::plan::kafka::{KafkaClientPlan, Properties};
use crate::wasm::{LogLevel, LogSink};

/// What a client is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Reads.
    Consumer,
    /// Writes.
    Producer,
}

/// What is set unless the job file says otherwise.
const DEFAULTS: [(&str, &str); 2] = [
    // A broker that comes back is found soon.
    ("reconnect.backoff.max.ms", "1000"),
    ("socket.keepalive.enable", "true"),
];

/// As [`DEFAULTS`], of consumers.
const CONSUMER_DEFAULTS: [(&str, &str); 2] = [
    ("isolation.level", "read_committed"),
    // Backpressure may last for as long as it takes.
    ("max.poll.interval.ms", "86400000"),
];

/// As [`DEFAULTS`], of producers.
const PRODUCER_DEFAULTS: [(&str, &str); 3] = [
    ("enable.idempotence", "true"),
    // As the clients of Java do, so that a key has the same partition whoever writes it.
    ("partitioner", "murmur2_random"),
    // How long a commit may take: less than the broker's limit of 15 minutes.
    ("transaction.timeout.ms", "300000"),
];

/// The settings of a client.
///
/// # Errors
/// If a variable of the environment is not set.
pub(super) fn settings(plan: &KafkaClientPlan, role: Role) -> Result<ClientConfig> {
    let resolved = plan.properties.resolve(|name| std::env::var(name).ok());
    let properties = resolved.map_err(|(property, variable)| {
        let message = format!("property {property:?} names ${{{variable}}}, which is not set");
        Error::input(message).hint("set this variable of the environment")
    })?;
    Ok(with_defaults(&plan.brokers, properties, role))
}

fn with_defaults(brokers: &str, properties: Vec<(String, String)>, role: Role) -> ClientConfig {
    let of_role: &[_] = match role {
        Role::Consumer => &CONSUMER_DEFAULTS,
        Role::Producer => &PRODUCER_DEFAULTS,
    };
    let mut settings = ClientConfig::new();
    for (name, value) in DEFAULTS.iter().chain(of_role) {
        settings.set(*name, *value);
    }
    settings.extend(properties);
    settings.set("bootstrap.servers", brokers);
    settings.set_log_level(RDKafkaLogLevel::Critical);
    settings
}

/// Whether librdkafka knows the properties and takes their values. Connects to nothing.
///
/// # Errors
/// What is wrong, for people, without the value.
pub fn check_properties(properties: &Properties, role: Role) -> Result<(), String> {
    let set = |name: &str| std::env::var(name).ok();
    let resolved = properties.resolve(set).map_err(|(property, variable)| {
        format!("{property:?} names ${{{variable}}}, which is not set")
    })?;
    let settings = with_defaults("localhost:9092", resolved, role);
    match settings.create_native_config() {
        Ok(_) => Ok(()),
        Err(KafkaError::ClientConfig(_, reason, property, _)) => {
            Err(format!("{property:?}: {reason}"))
        }
        Err(other) => Err(other.to_string()),
    }
}

/// What clients of one node have been told, and whom they tell. Clones share it.
#[derive(Clone)]
pub(super) struct Context {
    log: LogSink,
    brokers: String,
    said: Arc<Mutex<Said>>,
}

#[derive(Default)]
struct Said {
    /// Whether it was told that no broker can be reached.
    is_away: bool,
    /// Why brokers refuse, if they do.
    refusal: Option<String>,
    /// The last complaint, whatever it was.
    last: Option<String>,
    /// The first message that could not be delivered.
    undelivered: Option<String>,
}

impl Context {
    pub(super) fn new(plan: &KafkaClientPlan, log: LogSink) -> Self {
        Self { log, brokers: plan.brokers.clone(), said: Arc::default() }
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().expect("nobody panics with this lock")
    }

    /// Brokers answer: the next outage is news again.
    pub(super) fn is_well(&self) {
        let mut said = self.said();
        if said.is_away {
            self.log.write(LogLevel::Info, &format!("{} can be reached again", self.brokers));
        }
        *said = Said { undelivered: said.undelivered.take(), ..Said::default() };
    }

    /// Tells that brokers cannot be reached, once for each outage.
    pub(super) fn warn_away(&self, why: &str) {
        self.warn(&format!("cannot reach Kafka at {}: {why}", self.brokers));
    }

    /// Tells what does not work, once until it does.
    pub(super) fn warn(&self, what: &str) {
        let mut said = self.said();
        if !said.is_away {
            said.is_away = true;
            self.log.write(LogLevel::Warn, &format!("{what}; trying again"));
        }
    }

    /// Why brokers refuse this client, if they do: trying again is of no use.
    pub(super) fn refusal(&self) -> Option<Error> {
        let reason = self.said().refusal.clone()?;
        Some(refused(&self.brokers, &reason))
    }

    /// The first message that could not be delivered since this was asked last.
    pub(super) fn take_undelivered(&self) -> Option<Error> {
        let reason = self.said().undelivered.take()?;
        Some(self.failed(&format!("a record was not delivered: {reason}")))
    }

    /// The error of something that librdkafka could not do.
    pub(super) fn failed(&self, what: &str) -> Error {
        if let Some(refused) = self.refusal() {
            return refused;
        }
        let message = format!("Kafka at {}: {what}", self.brokers);
        let error = Error::storage(message).hint("look at the brokers, or at `brokers`");
        match &self.said().last {
            Some(last) if !what.contains(last.as_str()) => error.caused_by(last.clone()),
            _ => error,
        }
    }

    /// The error of a client that could not be made.
    pub(super) fn unmade(cause: KafkaError) -> Error {
        let reason = match cause {
            // Without the value, which may be a secret.
            KafkaError::ClientConfig(_, reason, property, _) => format!("{property:?}: {reason}"),
            other => other.to_string(),
        };
        Error::input(format!("cannot make a client of Kafka: {reason}"))
            .hint("look at the node's `properties`")
    }
}

/// The error of credentials that are not taken.
fn refused(brokers: &str, reason: &str) -> Error {
    Error::input(format!("Kafka at {brokers} refuses: {reason}")).hint(
        "look at user, password and mechanism in the node's `properties`, and at the rights of \
         that user",
    )
}

/// Whether trying again is of no use until somebody changes something.
pub(super) fn is_refusal(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

impl ClientContext for Context {
    fn log(&self, _level: RDKafkaLogLevel, _facility: &str, _line: &str) {
        // What matters comes as an error too.
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let Some(code) = error.rdkafka_error_code() else { return };
        if code == RDKafkaErrorCode::AllBrokersDown {
            // Why was said before.
            let why = self.said().last.clone();
            return self.warn_away(&why.unwrap_or_else(|| reason.to_owned()));
        }
        let mut said = self.said();
        said.last = Some(reason.to_owned());
        if is_refusal(code) {
            said.refusal.get_or_insert_with(|| reason.to_owned());
        }
    }
}

impl ConsumerContext for Context {}

impl ProducerContext for Context {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        match result {
            Ok(_) => {
                if self.said().is_away {
                    self.is_well();
                }
            }
            Err((error, _)) => {
                let reason =
                    error.rdkafka_error_code().map_or(error.to_string(), |c| c.to_string());
                self.said().undelivered.get_or_insert(reason);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, value: &str, role: Role) -> Result<(), String> {
        check_properties(&Properties(vec![(name.into(), value.into())]), role)
    }

    #[test]
    fn knows_librdkafkas_properties() {
        assert_eq!(check("fetch.min.bytes", "10", Role::Consumer), Ok(()));
        assert_eq!(check("security.protocol", "SASL_SSL", Role::Producer), Ok(()));
        let error = check("fetch.min.byte", "10", Role::Consumer).expect_err("no such property");
        assert!(error.contains("\"fetch.min.byte\": No such"), "{error}");
        let error = check("sasl.password", "${TIDEGATE_NOT_SET}", Role::Consumer);
        assert_eq!(
            error,
            Err("\"sasl.password\" names ${TIDEGATE_NOT_SET}, which is not set".into())
        );
    }
}
