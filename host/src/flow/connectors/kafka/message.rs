//! From a record of the job to a message of Kafka.

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;

use super::envelope;
use crate::error::{Error, Result};
use crate::flow::fields;
use crate::job::plan::kafka::KafkaShape;
use crate::model::Batch;

/// Makes sure that each record of a batch can be made into a message, before anything holds on to
/// it.
///
/// # Errors
/// With the position of the first that cannot.
pub(super) fn check(topic: &str, shape: &KafkaShape, batch: &Batch) -> Result<()> {
    if shape.key.is_none() && !shape.envelope {
        return Ok(());
    }
    for (index, value) in batch.values.iter().enumerate() {
        let checked = match shape.envelope {
            true => envelope::read(value).map(drop),
            false => Ok(()),
        };
        let checked = checked.and_then(|()| match &shape.key {
            Some(field) => fields::find(value, shape.format, field).map(drop),
            None => Ok(()),
        });
        checked.map_err(|reason| {
            let (position, excerpt) = (batch.position(index), fields::excerpt(value));
            let message = format!("cannot write the record {excerpt} to {topic:?}: {reason}");
            let hint = format!(
                "it came from {position}: let the function before the sink send out what fits its \
                 `key` and `envelope`"
            );
            Error::input(message).hint(hint)
        })?;
    }
    Ok(())
}

/// Hands the message of a record to `send`.
///
/// # Errors
/// Those of `send`; if the record is not what `check` has let through.
pub(super) fn with_message<T>(
    shape: &KafkaShape,
    topic: &str,
    value: &[u8],
    event_time: i64,
    send: impl FnOnce(BaseRecord<'_, [u8], [u8]>) -> Result<T>,
) -> Result<T> {
    let unfit = |reason| Error::input(format!("a record is no message for {topic}: {reason}"));
    // Kafka has no times before 1970, and zero means now.
    let time = |timestamp| Some(timestamp).filter(|time| *time > 0);
    let mut message = BaseRecord::to(topic);
    message.timestamp = time(event_time);
    if shape.envelope {
        let envelope = envelope::read(value).map_err(unfit)?;
        message.key = envelope.key.as_deref();
        message.payload = envelope.value.as_deref();
        message.timestamp = envelope.timestamp.map_or(message.timestamp, time);
        if !envelope.headers.is_empty() {
            let headers = OwnedHeaders::new_with_capacity(envelope.headers.len());
            let add = |headers: OwnedHeaders, (key, value): &(String, Option<Vec<u8>>)| {
                headers.insert(Header { key, value: value.as_ref() })
            };
            message.headers = Some(envelope.headers.iter().fold(headers, add));
        }
        return send(message);
    }
    message.payload = Some(value);
    match &shape.key {
        None => send(message),
        Some(field) => {
            let key = fields::find(value, shape.format, field).map_err(unfit)?;
            message.key = Some(&key);
            send(message)
        }
    }
}
