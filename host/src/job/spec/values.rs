//! Readers of single values: each says what it expects where it finds something else.

use std::time::Duration;

use super::document::Value;
use super::section::Mismatch;
use super::units;
use crate::job::plan::{FaultPolicy, Field, GeneratorShape, MalformedPolicy, S3, TimeUnit};
use crate::model::{FolderPattern, Format, MAX_PARALLELISM_LIMIT};

/// Bytes that one setting may ask for: sums of two still fit every counter.
const BYTES_LIMIT: u64 = 1 << 40;

/// A sink makes no shorter files than this because of their length.
const FILE_BYTES_MIN: u64 = 4 << 10;

/// "is …, not …", with what to write instead.
pub fn mismatch<T>(value: &Value, not: &str, hint: impl Into<String>) -> Result<T, Mismatch> {
    Err(Mismatch { what: format!("is {}, not {not}", value.describe()), hint: hint.into() })
}

/// Any text that is not empty.
pub fn text(value: &Value) -> Result<String, Mismatch> {
    match value {
        Value::Text(text) if text.is_empty() => {
            Err(Mismatch { what: "is empty".into(), hint: "write some text".into() })
        }
        Value::Text(text) => Ok(text.clone()),
        other => mismatch(other, "text", "put it in quotes"),
    }
}

/// A file or folder, or `s3://BUCKET/PREFIX`.
pub fn place(value: &Value) -> Result<String, Mismatch> {
    let place = text(value)?;
    let in_bucket = place.strip_prefix(S3);
    match (place.contains("://"), in_bucket.and_then(|rest| rest.split('/').next())) {
        (false, _) => Ok(place),
        (true, Some(bucket)) if !bucket.is_empty() => Ok(place),
        _ => {
            let hint = "write a path, or \"s3://BUCKET/PREFIX\"";
            mismatch(value, "a place that files can be in", hint)
        }
    }
}

/// A size from 4 KiB.
pub fn file_bytes(value: &Value) -> Result<u64, Mismatch> {
    let size = bytes(value)?;
    if size < FILE_BYTES_MIN {
        return mismatch(value, "a size from 4KiB", "write a larger size");
    }
    Ok(size)
}

/// A pattern of folders by event time.
pub fn folders(value: &Value) -> Result<FolderPattern, Mismatch> {
    let pattern = text(value)?;
    FolderPattern::parse(&pattern).map_err(|why| Mismatch {
        what: format!("is {pattern:?}, {why}"),
        hint: "write folders with %Y, %m, %d, %H and %M, as in \"%Y-%m-%d/%H\"".into(),
    })
}

/// A name that can stand in paths, in file names and on command lines.
pub fn id(value: &Value) -> Result<String, Mismatch> {
    let text = text(value)?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if text.chars().all(allowed) {
        return Ok(text);
    }
    mismatch(value, "a name", "use letters, digits, `-` and `_` only")
}

/// A whole number from 0.
pub fn count(value: &Value) -> Result<u64, Mismatch> {
    match value {
        Value::Integer(integer) if *integer >= 0 => Ok(*integer as u64),
        other => mismatch(other, "a whole number from 0", "write a number without quotes"),
    }
}

/// A whole number from 1.
pub fn positive(value: &Value) -> Result<u64, Mismatch> {
    match value {
        Value::Integer(integer) if *integer >= 1 => Ok(*integer as u64),
        other => mismatch(other, "a whole number from 1", "write a number without quotes"),
    }
}

/// As [`count`], in 32 bits.
pub fn count_u32(value: &Value) -> Result<u32, Mismatch> {
    from(value, 0)
}

/// As [`positive`], in 32 bits.
pub fn positive_u32(value: &Value) -> Result<u32, Mismatch> {
    from(value, 1)
}

fn from(value: &Value, least: u32) -> Result<u32, Mismatch> {
    let read = match value {
        Value::Integer(integer) => u32::try_from(*integer).ok(),
        _ => None,
    };
    match read.filter(|number| *number >= least) {
        Some(number) => Ok(number),
        None => {
            let range = format!("a whole number from {least}, below 2^32");
            mismatch(value, &range, "write a number without quotes")
        }
    }
}

/// `true` or `false`.
pub fn boolean(value: &Value) -> Result<bool, Mismatch> {
    match value {
        Value::Boolean(boolean) => Ok(*boolean),
        other => mismatch(other, "true or false", "write true or false, without quotes"),
    }
}

/// Any whole number.
pub fn integer(value: &Value) -> Result<i64, Mismatch> {
    match value {
        Value::Integer(integer) => Ok(*integer),
        other => mismatch(other, "a whole number", "write a number without quotes"),
    }
}

/// A number above `1`.
pub fn factor(value: &Value) -> Result<f64, Mismatch> {
    match value {
        Value::Float(float) if *float > 1.0 && float.is_finite() => Ok(*float),
        Value::Integer(integer) if *integer > 1 => Ok(*integer as f64),
        other => mismatch(other, "a number above 1", "write for example 2.0"),
    }
}

/// A share from 0 to 1.
pub fn share(value: &Value) -> Result<f64, Mismatch> {
    match value {
        Value::Float(float) if (0.0..=1.0).contains(float) => Ok(*float),
        Value::Integer(integer) if (0..=1).contains(integer) => Ok(*integer as f64),
        other => mismatch(other, "a number from 0 to 1", "write for example 0.1"),
    }
}

/// A number of partitions or key groups.
pub fn parallelism(value: &Value) -> Result<u32, Mismatch> {
    let limit = i64::from(MAX_PARALLELISM_LIMIT);
    match value {
        Value::Integer(integer) if (1..=limit).contains(integer) => Ok(*integer as u32),
        other => {
            let range = format!("a whole number from 1 to {limit}");
            mismatch(other, &range, "write a number in that range, without quotes")
        }
    }
}

/// A duration, which may be nothing.
pub fn duration(value: &Value) -> Result<Duration, Mismatch> {
    let hint = "write a whole number and ms, s, m, h or d, as in \"500ms\" or \"10s\"";
    let duration = match value {
        Value::Text(text) => units::duration(text),
        _ => None,
    };
    // Event times are i64 milliseconds: a third of their range keeps every sum in range.
    match duration.filter(|duration| duration.as_millis() < i64::MAX as u128 / 3) {
        Some(duration) => Ok(duration),
        None => mismatch(value, "a duration", hint),
    }
}

/// A duration of at least a millisecond.
pub fn positive_duration(value: &Value) -> Result<Duration, Mismatch> {
    let duration = duration(value)?;
    if duration.is_zero() {
        return mismatch(value, "a duration above zero", "write at least \"1ms\"");
    }
    Ok(duration)
}

/// A size in bytes, from 1.
pub fn bytes(value: &Value) -> Result<u64, Mismatch> {
    let bytes = match value {
        Value::Text(text) => units::bytes(text),
        Value::Integer(integer) => u64::try_from(*integer).ok(),
        _ => None,
    };
    match bytes.filter(|bytes| (1..=BYTES_LIMIT).contains(bytes)) {
        Some(bytes) => Ok(bytes),
        None => mismatch(value, "a size", "write bytes, or a whole number and a unit: \"64MiB\""),
    }
}

/// A field of a record: a position from 0 or a name.
pub fn field(value: &Value) -> Result<Field, Mismatch> {
    match value {
        Value::Integer(integer) if (0..=i64::from(u16::MAX)).contains(integer) => {
            Ok(Field::Index(*integer as usize))
        }
        Value::Text(name) if !name.is_empty() => Ok(Field::Name(name.clone())),
        other => {
            let hint = "write the position of a CSV field, counted from 0, or the name of a JSON \
                field in quotes";
            mismatch(other, "a field", hint)
        }
    }
}

/// A parameter of a function, as text.
pub fn parameter(value: &Value) -> Result<String, Mismatch> {
    match value {
        Value::Text(text) => Ok(text.clone()),
        Value::Integer(integer) => Ok(integer.to_string()),
        Value::Float(float) => Ok(float.to_string()),
        Value::Boolean(boolean) => Ok(boolean.to_string()),
        Value::Array(_) | Value::Table(_) => {
            mismatch(value, "text, a number, true or false", "write it as text, in quotes")
        }
    }
}

/// One of a few words.
pub fn word<T: Copy>(value: &Value, words: &[(&str, T)]) -> Result<T, Mismatch> {
    let Value::Text(text) = value else {
        return mismatch(value, "a word", format!("write {}", list(words)));
    };
    match words.iter().find(|(word, _)| word == text) {
        Some((_, meaning)) => Ok(*meaning),
        None => {
            let near = super::names::nearest(text, words.iter().map(|(word, _)| *word));
            let hint = match near {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("write {}", list(words)),
            };
            Err(Mismatch { what: format!("is {text:?}, which is not known"), hint })
        }
    }
}

fn list<T>(words: &[(&str, T)]) -> String {
    let quoted: Vec<String> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} or {last}", first.join(", ")),
        None => String::new(),
    }
}

/// How records are written.
pub fn format(value: &Value) -> Result<Format, Mismatch> {
    let words = [
        ("csv", Format::Csv),
        ("json", Format::Json),
        ("lines", Format::Lines),
        ("bytes", Format::Bytes),
    ];
    word(value, &words)
}

/// The unit of an event time.
pub fn time_unit(value: &Value) -> Result<TimeUnit, Mismatch> {
    let words = [
        ("s", TimeUnit::Seconds),
        ("ms", TimeUnit::Milliseconds),
        ("us", TimeUnit::Microseconds),
        ("ns", TimeUnit::Nanoseconds),
    ];
    word(value, &words)
}

/// What becomes of records that cannot be decoded.
pub fn malformed(value: &Value) -> Result<MalformedPolicy, Mismatch> {
    let words = [
        ("fail", MalformedPolicy::Fail),
        ("skip", MalformedPolicy::Skip),
        ("dead-letter", MalformedPolicy::DeadLetter),
    ];
    word(value, &words)
}

/// What becomes of records at which a function faults.
pub fn on_fault(value: &Value) -> Result<FaultPolicy, Mismatch> {
    word(value, &[("fail", FaultPolicy::Fail), ("dead-letter", FaultPolicy::DeadLetter)])
}

/// What a generator makes.
pub fn shape(value: &Value) -> Result<GeneratorShape, Mismatch> {
    use GeneratorShape::{Clicks, NamedClicks, Sensors, UserEvents};
    word(value, &[Clicks, Sensors, NamedClicks, UserEvents].map(|shape| (shape.word(), shape)))
}
