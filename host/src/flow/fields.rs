//! Finds the fields of a record that the job file names: its key and its event time.

use std::borrow::Cow;

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::job::plan::{Field, Partitioning, Plan, TimeUnit, TimestampPlan, Upstream};
use crate::model::Format;

/// Why a field cannot be had, for people.
pub(super) type FieldError = String;

/// A field of a record. Borrowed where the record spells it as it is.
///
/// # Errors
/// If the record has no such field, or is not of its format.
pub(super) fn find<'a>(
    record: &'a [u8],
    format: Format,
    field: &Field,
) -> Result<Cow<'a, [u8]>, FieldError> {
    match (format, field) {
        (Format::Csv | Format::Lines, Field::Index(index)) => find_csv(record, *index),
        (Format::Json, Field::Name(name)) => find_json(record, name),
        (format, field) => unreachable!("check refuses {field:?} of {format:?}"),
    }
}

/// Whether a record of a source has every field that the job needs of it.
///
/// # Errors
/// What is missing.
pub(super) fn check(record: &[u8], format: Format, fields: &[Field]) -> Result<(), FieldError> {
    fields.iter().try_for_each(|field| find(record, format, field).map(drop))
}

/// The names of the fields of a CSV header.
///
/// # Errors
/// If it is not CSV, or not text.
pub(super) fn names(header: &[u8]) -> Result<Vec<String>, FieldError> {
    let (mut names, mut rest) = (Vec::new(), Some(header));
    while let Some(record) = rest {
        let (field, after) = split_csv(record)?;
        let name = std::str::from_utf8(&field).map_err(|_| "it is not UTF-8")?;
        names.push(name.trim().to_owned());
        rest = after;
    }
    Ok(names)
}

/// The event time of a record in milliseconds.
///
/// # Errors
/// If the field is missing, no integer, or out of range.
pub(super) fn timestamp(
    record: &[u8],
    format: Format,
    plan: &TimestampPlan,
) -> Result<i64, FieldError> {
    let text = find(record, format, &plan.field)?;
    let text = text.trim_ascii();
    let Some(number) = integer(text) else {
        let text = excerpt(text);
        return Err(format!("its timestamp, {}, is no integer: {text}", describe(&plan.field)));
    };
    let milliseconds = match plan.unit {
        TimeUnit::Seconds => number.checked_mul(1000),
        TimeUnit::Milliseconds => Some(number),
        TimeUnit::Microseconds => Some(number.div_euclid(1000)),
        TimeUnit::Nanoseconds => Some(number.div_euclid(1_000_000)),
    };
    // The outermost times mean "none" and "the end".
    milliseconds.filter(|time| (i64::MIN + 1..i64::MAX).contains(time)).ok_or_else(|| {
        format!("its timestamp, {}, is out of range: {number}", describe(&plan.field))
    })
}

/// Reads a decimal integer. Timestamps are nearly always a few digits without a sign.
fn integer(text: &[u8]) -> Option<i64> {
    if (1..=18).contains(&text.len()) && text.iter().all(u8::is_ascii_digit) {
        return Some(text.iter().fold(0, |number, digit| number * 10 + i64::from(digit - b'0')));
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The fields that operators need of the records of source `source` as keys, without those that a
/// record has anyway because it has its timestamp.
pub fn required_fields(plan: &Plan, source: usize) -> Vec<Field> {
    let inputs = plan.operators.iter().flat_map(|operator| &operator.inputs);
    let of_source = inputs.filter(|input| input.from == Upstream::Source(source));
    let key = of_source.filter_map(|input| match &input.partition {
        Partitioning::Key(field) => Some(field.clone()),
        _ => None,
    });
    let timestamp = plan.sources[source].timestamp.as_ref().map(|timestamp| &timestamp.field);
    let comes_with_timestamp = |field: &Field| match (field, timestamp) {
        (Field::Index(index), Some(Field::Index(timestamp))) => index <= timestamp,
        (field, timestamp) => timestamp == Some(field),
    };
    let mut fields: Vec<Field> = Vec::new();
    for field in key.filter(|field| !comes_with_timestamp(field)) {
        if !fields.contains(&field) {
            fields.push(field);
        }
    }
    fields
}

/// A field as people name it.
fn describe(field: &Field) -> String {
    match field {
        Field::Index(index) => format!("field {index} (from 0)"),
        Field::Name(name) => format!("field {name:?}"),
    }
}

/// The first bytes of a record, quoted, for messages.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(SHOWN)]);
    let more = if bytes.len() > SHOWN { " …" } else { "" };
    format!("{text:?}{more}")
}

fn find_csv(record: &[u8], index: usize) -> Result<Cow<'_, [u8]>, FieldError> {
    let mut rest = record;
    for passed in 0.. {
        let (field, after) = split_csv(rest)?;
        if passed == index {
            return Ok(field);
        }
        match after {
            Some(after) => rest = after,
            None => {
                let fields = passed + 1;
                let s = if fields == 1 { "" } else { "s" };
                return Err(format!(
                    "it has {fields} field{s}, but field {index} (from 0) is needed"
                ));
            }
        }
    }
    unreachable!("a record has an end")
}

/// All fields of a CSV record. One with nothing in it, not even quotes, is none.
///
/// # Errors
/// If a quote does not end.
pub(super) fn split_all(record: &[u8]) -> Result<Vec<Option<Cow<'_, [u8]>>>, FieldError> {
    let mut fields = Vec::new();
    let mut rest = Some(record);
    while let Some(from) = rest {
        let (field, after) = split_csv(from)?;
        let is_there = !field.is_empty() || from.starts_with(b"\"");
        fields.push(Some(field).filter(|_| is_there));
        rest = after;
    }
    Ok(fields)
}

/// The first field of a record, and what follows its comma if there is one.
type FirstField<'a> = (Cow<'a, [u8]>, Option<&'a [u8]>);

/// Splits the first field off. Quotes as in RFC 4180.
fn split_csv(rest: &[u8]) -> Result<FirstField<'_>, FieldError> {
    let Some(quoted) = rest.strip_prefix(b"\"") else {
        return Ok(match memchr(b',', rest) {
            Some(comma) => (Cow::Borrowed(&rest[..comma]), Some(&rest[comma + 1..])),
            None => (Cow::Borrowed(rest), None),
        });
    };
    let mut field = Cow::Borrowed(&quoted[..0]);
    let mut from = 0;
    loop {
        let Some(length) = memchr(b'"', &quoted[from..]) else {
            return Err("a quoted field does not end on its line".into());
        };
        let quote = from + length;
        match quoted.get(quote + 1) {
            // Two quotes stand for one.
            Some(b'"') => {
                field.to_mut().extend_from_slice(&quoted[from..=quote]);
                from = quote + 2;
            }
            next => {
                match &mut field {
                    Cow::Owned(field) => field.extend_from_slice(&quoted[from..quote]),
                    Cow::Borrowed(field) => *field = &quoted[..quote],
                }
                return match next {
                    None => Ok((field, None)),
                    Some(b',') => Ok((field, Some(&quoted[quote + 2..]))),
                    Some(_) => Err("a quoted field goes on after its quote".into()),
                };
            }
        }
    }
}

fn find_json<'a>(record: &'a [u8], name: &str) -> Result<Cow<'a, [u8]>, FieldError> {
    let mut json = serde_json::Deserializer::from_slice(record);
    let found = FieldSeed(name).deserialize(&mut json).and_then(|found| json.end().map(|()| found));
    let found = found.map_err(|error| format!("it is no JSON object: {error}"))?;
    let raw = found.ok_or_else(|| format!("it has no field {name:?}"))?.get();
    match raw.as_bytes()[0] {
        b'"' => match serde_json::from_str::<Cow<'a, str>>(raw) {
            Ok(Cow::Borrowed(text)) => Ok(Cow::Borrowed(text.as_bytes())),
            Ok(Cow::Owned(text)) => Ok(Cow::Owned(text.into_bytes())),
            Err(error) => Err(format!("field {name:?} is no text: {error}")),
        },
        b'{' | b'[' => Err(format!("field {name:?} is no text, number, true or false")),
        b'n' => Err(format!("field {name:?} is null")),
        _ => Ok(Cow::Borrowed(raw.as_bytes())),
    }
}

/// Reads an object and keeps the raw value of one field.
struct FieldSeed<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            if key == self.0 {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csv(record: &str, index: usize) -> Result<String, String> {
        let found = find(record.as_bytes(), Format::Csv, &Field::Index(index))?;
        Ok(String::from_utf8(found.into_owned()).expect("text"))
    }

    fn json(record: &str, name: &str) -> Result<String, String> {
        let found = find(record.as_bytes(), Format::Json, &Field::Name(name.into()))?;
        Ok(String::from_utf8(found.into_owned()).expect("text"))
    }

    #[test]
    fn finds_csv_fields() {
        assert_eq!(csv("a,b,c", 0).as_deref(), Ok("a"));
        assert_eq!(csv("a,b,c", 2).as_deref(), Ok("c"));
        assert_eq!(csv("a,,c", 1).as_deref(), Ok(""));
        assert_eq!(csv("a,b,", 2).as_deref(), Ok(""));
        assert_eq!(csv("", 0).as_deref(), Ok(""));
        assert_eq!(csv("\"a,\"\"x\"\"\",\"b\"", 0).as_deref(), Ok("a,\"x\""));
        assert_eq!(csv("\"a,\"\"x\"\"\",\"b\"", 1).as_deref(), Ok("b"));
        assert_eq!(csv("a\"b,c", 0).as_deref(), Ok("a\"b"));
        assert!(csv("a,b", 2).is_err_and(|error| error.contains("2 fields")));
        assert!(csv("\"a,b", 0).is_err_and(|error| error.contains("does not end")));
        assert!(csv("\"a\"b", 0).is_err_and(|error| error.contains("goes on")));
    }

    #[test]
    fn finds_json_fields() {
        let record = r#"{"a": {"b": 1}, "b": "x\ny", "c": 1.50, "d": null, "e": true, "f": "é"}"#;
        assert_eq!(json(record, "b").as_deref(), Ok("x\ny"));
        assert_eq!(json(record, "c").as_deref(), Ok("1.50"));
        assert_eq!(json(record, "e").as_deref(), Ok("true"));
        assert_eq!(json(record, "f").as_deref(), Ok("é"));
        assert!(json(record, "a").is_err());
        assert!(json(record, "d").is_err_and(|error| error.contains("null")));
        assert!(json(record, "g").is_err_and(|error| error.contains("no field")));
        assert!(json("[1]", "a").is_err());
        assert!(json(r#"{"a": 1} x"#, "a").is_err());
        assert!(json(r#"{"a": 1"#, "a").is_err());
    }

    #[test]
    fn reads_timestamps_of_every_unit() {
        let read = |text: &str, unit| {
            let plan = TimestampPlan { field: Field::Index(0), unit };
            timestamp(text.as_bytes(), Format::Csv, &plan)
        };
        assert_eq!(read("12", TimeUnit::Seconds), Ok(12_000));
        assert_eq!(read(" 12 ", TimeUnit::Milliseconds), Ok(12));
        assert_eq!(read("-1", TimeUnit::Microseconds), Ok(-1));
        assert_eq!(read("2999999", TimeUnit::Nanoseconds), Ok(2));
        assert!(read("1.5", TimeUnit::Seconds).is_err_and(|error| error.contains("no integer")));
        assert!(read("", TimeUnit::Seconds).is_err());
        assert_eq!(read("-12", TimeUnit::Milliseconds), Ok(-12));
        assert_eq!(read("+12", TimeUnit::Milliseconds), Ok(12));
        let long = "999999999999999999";
        assert_eq!(read(long, TimeUnit::Milliseconds), Ok(999_999_999_999_999_999));
        assert_eq!(
            read(&format!("000{long}"), TimeUnit::Milliseconds),
            Ok(999_999_999_999_999_999)
        );
        let far = i64::MAX.to_string();
        assert!(read(&far, TimeUnit::Seconds).is_err_and(|error| error.contains("out of range")));
        assert!(read(&far, TimeUnit::Milliseconds).is_err());
    }
}
