//! Finds the fields of a record that the job file names: its key and its event time.

use std::borrow::Cow;

use memchr::memchr;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::job::plan::{Field, Partitioning, Plan, TimeUnit, TimestampPlan, Upstream};
use crate::model::Format;

/// Why a field cannot be had, for people.
pub(super) type FieldError = String;

/// Where fields of a record are. The memory serves one record after the other.
#[derive(Debug, Default)]
pub(super) struct Found {
    places: SmallVec<[Place; 4]>,
    /// Those that the record does not spell as they are, one after the other.
    unescaped: Vec<u8>,
}

/// Where a field is: from where to where in the record, or else in what was unescaped.
#[derive(Debug, Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
    is_in_record: bool,
}

impl Found {
    /// The field at this place among those that were looked for in `record`.
    #[inline]
    pub(super) fn get<'a>(&'a self, record: &'a [u8], place: usize) -> &'a [u8] {
        let Place { start, end, is_in_record } = self.places[place];
        let bytes = if is_in_record { record } else { &self.unescaped };
        &bytes[start..end]
    }

    fn clear(&mut self) {
        self.places.clear();
        self.unescaped.clear();
    }

    /// Adds a field of a record.
    fn add(&mut self, record: &[u8], field: Cow<'_, [u8]>) {
        let (start, is_in_record) = match &field {
            Cow::Borrowed(part) => (part.as_ptr().addr() - record.as_ptr().addr(), true),
            Cow::Owned(text) => {
                self.unescaped.extend_from_slice(text);
                (self.unescaped.len() - text.len(), false)
            }
        };
        self.places.push(Place { start, end: start + field.len(), is_in_record });
    }
}

/// The fields that somebody needs of every record of a source, each once. They are found in one
/// pass over the record.
#[derive(Debug)]
pub struct Wanted {
    format: Format,
    /// In ascending order.
    fields: Vec<Field>,
}

impl Wanted {
    /// Those that operators need of the records of source `source` as keys, and that of its event
    /// time.
    pub fn of(plan: &Plan, source: usize) -> Self {
        let inputs = plan.operators.iter().flat_map(|operator| &operator.inputs);
        let of_source = inputs.filter(|input| input.from == Upstream::Source(source));
        let keys = of_source.filter_map(|input| match &input.partition {
            Partitioning::Key(field) => Some(field.clone()),
            _ => None,
        });
        let source = &plan.sources[source];
        let time = source.timestamp.as_ref().map(|timestamp| timestamp.field.clone());
        Self::new(source.format, keys.chain(time).collect())
    }

    fn new(format: Format, mut fields: Vec<Field>) -> Self {
        fields.sort_unstable();
        fields.dedup();
        Self { format, fields }
    }

    /// The place of a field among those found.
    ///
    /// # Panics
    /// If nobody has said that it is wanted.
    pub fn place(&self, field: &Field) -> usize {
        self.fields.binary_search(field).expect("every field that is used is wanted")
    }

    /// Finds all of them in a record.
    ///
    /// # Errors
    /// If the record lacks one, or is not of its format.
    pub(super) fn find(&self, record: &[u8], found: &mut Found) -> Result<(), FieldError> {
        find_all(record, self.format, &self.fields, found)
    }
}

/// A field of a record. Borrowed where the record spells it as it is.
///
/// # Errors
/// If the record has no such field, or is not of its format.
pub(super) fn find<'a>(
    record: &'a [u8],
    format: Format,
    field: &Field,
) -> Result<Cow<'a, [u8]>, FieldError> {
    let mut found = Found::default();
    find_all(record, format, std::slice::from_ref(field), &mut found)?;
    Ok(match found.places[0] {
        Place { start, end, is_in_record: true } => Cow::Borrowed(&record[start..end]),
        _ => Cow::Owned(found.unescaped),
    })
}

/// Finds fields that are in ascending order.
#[inline]
fn find_all(
    record: &[u8],
    format: Format,
    fields: &[Field],
    found: &mut Found,
) -> Result<(), FieldError> {
    found.clear();
    match format {
        // Records of which nothing is needed may be anything.
        _ if fields.is_empty() => Ok(()),
        Format::Csv | Format::Lines => find_csv(record, fields, found),
        Format::Json => find_json(record, fields, found),
        Format::Bytes => unreachable!("check refuses {fields:?} of bytes"),
    }
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

/// The event time, in milliseconds, that a field tells.
///
/// # Errors
/// If it is no integer, or out of range.
pub(super) fn timestamp(text: &[u8], plan: &TimestampPlan) -> Result<i64, FieldError> {
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

fn find_csv(record: &[u8], fields: &[Field], found: &mut Found) -> Result<(), FieldError> {
    let (mut next, mut passed) = (Some(0), 0);
    for wanted in fields {
        let Field::Index(index) = wanted else { unreachable!("check refuses {wanted:?} of CSV") };
        while passed <= *index {
            let Some(start) = next else {
                let s = if passed == 1 { "" } else { "s" };
                return Err(format!(
                    "it has {passed} field{s}, but {} is needed",
                    describe(wanted)
                ));
            };
            let rest = &record[start..];
            let is_wanted = passed == *index;
            if rest.first() == Some(&b'"') {
                let (field, after) = split_csv(rest)?;
                next = after.map(|after| record.len() - after.len());
                if is_wanted {
                    found.add(record, field);
                }
            } else {
                // As `split_csv` would; most fields are such, and its answer is dear to move.
                let comma = memchr(b',', rest).map(|length| start + length);
                next = comma.map(|comma| comma + 1);
                if is_wanted {
                    let end = comma.unwrap_or(record.len());
                    found.places.push(Place { start, end, is_in_record: true });
                }
            }
            passed += 1;
        }
    }
    Ok(())
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

fn find_json(record: &[u8], fields: &[Field], found: &mut Found) -> Result<(), FieldError> {
    let mut json = serde_json::Deserializer::from_slice(record);
    let values = FieldsSeed(fields).deserialize(&mut json);
    let values = values.and_then(|values| json.end().map(|()| values));
    let values = values.map_err(|error| format!("it is no JSON object: {error}"))?;
    for (field, raw) in fields.iter().zip(values) {
        found.add(record, read_json(field, raw)?);
    }
    Ok(())
}

/// The text of a field's value.
fn read_json<'a>(field: &Field, raw: Option<&'a RawValue>) -> Result<Cow<'a, [u8]>, FieldError> {
    let field = describe(field);
    let raw = raw.ok_or_else(|| format!("it has no {field}"))?.get();
    match raw.as_bytes()[0] {
        b'"' => match serde_json::from_str::<String>(raw) {
            Ok(text) => Ok(Cow::Owned(text.into_bytes())),
            Err(error) => Err(format!("{field} is no text: {error}")),
        },
        b'{' | b'[' => Err(format!("{field} is no text, number, true or false")),
        b'n' => Err(format!("{field} is null")),
        _ => Ok(Cow::Borrowed(raw.as_bytes())),
    }
}

/// Reads an object and keeps the raw values of some fields.
struct FieldsSeed<'n>(&'n [Field]);

/// The values of the fields, as far as the object has them.
type RawValues<'a> = SmallVec<[Option<&'a RawValue>; 2]>;

impl<'de> DeserializeSeed<'de> for FieldsSeed<'_> {
    type Value = RawValues<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for FieldsSeed<'_> {
    type Value = RawValues<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: RawValues<'_> = self.0.iter().map(|_| None).collect();
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            let is_key = |field: &Field| matches!(field, Field::Name(name) if *name == key);
            match self.0.iter().position(is_key) {
                Some(place) => found[place] = Some(map.next_value()?),
                None => drop(map.next_value::<IgnoredAny>()?),
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
    fn finds_many_fields_in_one_pass() {
        let all = |format, record: &str, fields: &[Field]| {
            let wanted = Wanted::new(format, fields.to_vec());
            let mut found = Found::default();
            wanted.find(record.as_bytes(), &mut found)?;
            let get = |field: &Field| found.get(record.as_bytes(), wanted.place(field)).to_vec();
            let text = |field: &Field| String::from_utf8(get(field));
            Ok::<_, String>(
                fields.iter().map(|field| text(field).expect("text")).collect::<Vec<_>>(),
            )
        };
        let (first, third) = (Field::Index(0), Field::Index(2));
        let fields = [third.clone(), first.clone(), third];
        assert_eq!(
            all(Format::Csv, "a,b,\"c\"\"\",d", &fields),
            Ok(vec!["c\"".into(), "a".into(), "c\"".into()])
        );
        assert!(
            all(Format::Csv, "a,b", &fields)
                .is_err_and(|error| error.contains("2 fields, but field 2"))
        );
        let fields = ["b", "a"].map(|name| Field::Name(name.into()));
        let record = r#"{"a": 1, "b": "x", "a": 2}"#;
        assert_eq!(all(Format::Json, record, &fields), Ok(vec!["x".into(), "2".into()]));
        let error = all(Format::Json, r#"{"b": 1}"#, &fields);
        assert!(error.is_err_and(|error| error.contains("no field \"a\"")));
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
            timestamp(text.as_bytes(), &plan)
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
