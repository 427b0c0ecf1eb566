//! JSON objects, one a record, by serde.

use serde::{Deserialize, Serialize};

use super::{Decode, Encode, Format};
use crate::error::{Error, Result, quote};

/// A record that is one JSON object.
///
/// Text without escapes can be borrowed from the record:
///
/// ```
/// use serde::Deserialize;
/// use tidegate_sdk::prelude::*;
///
/// #[derive(Deserialize)]
/// struct Action<'a> {
///     #[serde(rename = "userID")]
///     user: &'a str,
///     amount: f64,
/// }
///
/// let Json(action) = Json::<Action>::decode(br#"{"userID":"u1","amount":2.5}"#)?;
/// assert_eq!((action.user, action.amount), ("u1", 2.5));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Json<T>(pub T);

impl<'a, T: Deserialize<'a>> Decode<'a> for Json<T> {
    const FORMAT: Format = Format::Json;

    fn decode(record: &'a [u8]) -> Result<Self> {
        serde_json::from_slice(record)
            .map(Json)
            .map_err(|error| Error::msg(format_args!("{error} of {}", quote(record))))
    }
}

impl<T: Serialize> Encode for Json<T> {
    const FORMAT: Format = Format::Json;

    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        Ok(serde_json::to_writer(out, &self.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_where_the_record_is_wrong() {
        let error = Json::<(u8, u8)>::decode(b"[1,x]").unwrap_err();
        assert_eq!(error.to_string(), "expected value at line 1 column 4 of \"[1,x]\"");
    }

    #[test]
    fn writes_one_line() {
        let mut out = b"before ".to_vec();
        Json(("a\n", 1.0)).encode(&mut out).unwrap();
        assert_eq!(out, br#"before ["a\n",1.0]"#);
    }
}
