//! A Kafka record as a JSON object, with all that it has: key, headers, timestamp, where it is.
//!
//! ```json
//! {"topic":"orders","partition":0,"offset":7,"timestamp":1700000000000,
//!  "key":"k","headers":[["h","x"]],"value":"…"}
//! ```
//! Key, value and header values are text, null, or `{"hex":"…"}` where they are not UTF-8.

use rdkafka::message::{BorrowedMessage, Headers, Message};
use serde::Serialize;
use serde_json::{Value, json};

/// What a sink takes of such an object: all else is where the record came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) key: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(super) value: Option<Vec<u8>>,
    /// Milliseconds since 1970; none = the event time.
    pub(super) timestamp: Option<i64>,
}

#[derive(Serialize)]
struct Written<'a> {
    topic: &'a str,
    partition: i32,
    offset: i64,
    timestamp: Option<i64>,
    key: Value,
    headers: Vec<(&'a str, Value)>,
    value: Value,
}

/// Appends the object of a message to `bytes`.
pub(super) fn write(bytes: &mut Vec<u8>, message: &BorrowedMessage<'_>) {
    let headers = message.headers();
    let written = Written {
        topic: message.topic(),
        partition: message.partition(),
        offset: message.offset(),
        timestamp: message.timestamp().to_millis(),
        key: text(message.key()),
        headers: headers
            .map(|headers| headers.iter().map(|one| (one.key, text(one.value))).collect())
            .unwrap_or_default(),
        value: text(message.payload()),
    };
    serde_json::to_writer(bytes, &written).expect("a vector takes everything");
}

fn text(bytes: Option<&[u8]>) -> Value {
    let Some(bytes) = bytes else { return Value::Null };
    match std::str::from_utf8(bytes) {
        Ok(text) => json!(text),
        Err(_) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({ "hex": hex })
        }
    }
}

/// Reads what a sink takes of an object.
///
/// # Errors
/// What is wrong with it, for people.
pub(super) fn read(record: &[u8]) -> Result<Envelope, String> {
    let object: Value =
        serde_json::from_slice(record).map_err(|error| format!("it is no JSON: {error}"))?;
    let Value::Object(object) = object else { return Err("it is no JSON object".into()) };
    if !object.contains_key("value") {
        return Err("it has no field \"value\"".into());
    }
    let field = |name: &str| bytes(name, object.get(name).unwrap_or(&Value::Null));
    let headers = match object.get("headers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(pairs)) => pairs.iter().map(header).collect::<Result<_, _>>()?,
        Some(_) => return Err("\"headers\" is no list of pairs".into()),
    };
    let timestamp = match object.get("timestamp") {
        None | Some(Value::Null) => None,
        Some(time) => Some(time.as_i64().ok_or("\"timestamp\" is no whole number")?),
    };
    Ok(Envelope { key: field("key")?, headers, value: field("value")?, timestamp })
}

fn header(pair: &Value) -> Result<(String, Option<Vec<u8>>), String> {
    match pair.as_array().map(Vec::as_slice) {
        Some([Value::String(name), value]) => Ok((name.clone(), bytes("headers", value)?)),
        _ => Err("\"headers\" is no list of pairs of a name and a value".into()),
    }
}

fn bytes(name: &str, value: &Value) -> Result<Option<Vec<u8>>, String> {
    let wrong = || format!("{name:?} is no text, null or {{\"hex\": …}}");
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone().into_bytes())),
        Value::Object(object) if object.len() == 1 => {
            let hex = object.get("hex").and_then(Value::as_str).ok_or_else(wrong)?;
            decode_hex(hex).map(Some).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn decode_hex(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits.filter(|digits| digits.len() % 2 == 0)?;
    Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_a_source_writes() {
        let record = r#"{"topic":"t","partition":1,"offset":2,"timestamp":3,"key":"k",
            "headers":[["a","x"],["a",null]],"value":{"hex":"00ff"}}"#;
        let expected = Envelope {
            key: Some(b"k".to_vec()),
            headers: vec![("a".into(), Some(b"x".to_vec())), ("a".into(), None)],
            value: Some(vec![0, 255]),
            timestamp: Some(3),
        };
        assert_eq!(read(record.as_bytes()), Ok(expected));
        let least = Envelope { key: None, headers: vec![], value: None, timestamp: None };
        assert_eq!(read(br#"{"value":null}"#), Ok(least));
    }

    #[test]
    fn says_what_is_wrong() {
        for (record, reason) in [
            ("x", "it is no JSON"),
            ("[]", "it is no JSON object"),
            ("{}", "no field \"value\""),
            (r#"{"value":1}"#, "\"value\" is no text"),
            (r#"{"value":{"hex":"0"}}"#, "\"value\" is no text"),
            (r#"{"value":"v","key":[]}"#, "\"key\" is no text"),
            (r#"{"value":"v","headers":{"a":"b"}}"#, "\"headers\" is no list"),
            (r#"{"value":"v","headers":[["a"]]}"#, "\"headers\" is no list"),
            (r#"{"value":"v","timestamp":"now"}"#, "\"timestamp\" is no whole number"),
        ] {
            let error = read(record.as_bytes()).expect_err(record);
            assert!(error.contains(reason), "{record}: {error}");
        }
    }
}
