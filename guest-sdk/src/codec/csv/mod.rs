//! Comma-separated records: one line, fields by position, quoted as RFC 4180 says.
//!
//! This is not a parser of CSV files: lines are split before they reach a function, and a header,
//! other separators and comments are matters of the source. It exists beside the `csv` crate
//! because that one allocates for each record.

mod fields;
mod read;
mod write;

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Decode, Encode, Format};
use crate::error::{Error, Result, quote};
use read::Reader;
use write::Writer;

/// A record that is one comma-separated line, such as `alice,/home,1000`.
///
/// `T` is any serde type whose parts stand in the order of the fields: a tuple, a struct, a list of
/// all fields, or a nesting of these, which is written flat. An empty field is `None` to an
/// `Option`. Spaces are part of a field. Fields without quotes inside can be borrowed as `&str` or
/// `&[u8]`:
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// let Csv((user, at)) = Csv::<(&str, i64)>::decode(b"alice,1000")?;
/// assert_eq!((user, at), ("alice", 1000));
///
/// let error = Csv::<(&str, i64)>::decode(b"alice").unwrap_err();
/// assert_eq!(error.to_string(), "expected 2 fields, found 1 in \"alice\"");
/// let error = Csv::<(&str, i64)>::decode(b"alice,noon").unwrap_err();
/// assert_eq!(error.to_string(), "field 2: expected an integer, found \"noon\" in \"alice,noon\"");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Csv<T>(pub T);

impl<'a, T: Deserialize<'a>> Decode<'a> for Csv<T> {
    const FORMAT: Format = Format::Csv;

    #[inline]
    fn decode(record: &'a [u8]) -> Result<Self> {
        let mut reader = Reader::new(record);
        let problem = match T::deserialize(&mut reader) {
            Ok(value) if reader.is_at_end() => return Ok(Csv(value)),
            Ok(_) => reader.too_many(),
            Err(problem) => problem,
        };
        Err(reader.explain(problem, record))
    }
}

impl<T: Serialize> Encode for Csv<T> {
    const FORMAT: Format = Format::Csv;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        self.0.serialize(&mut Writer::new(out)).map_err(|problem| Error::msg(problem.0))
    }
}

/// What serde or this codec found wrong, before it is told in which record.
#[derive(Debug)]
struct Problem(Box<str>);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

impl serde::de::Error for Problem {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Problem(message.to_string().into())
    }
}

impl serde::ser::Error for Problem {
    fn custom<M: fmt::Display>(message: M) -> Self {
        Problem(message.to_string().into())
    }
}

#[cfg(test)]
mod tests;
