//! Values of state as bytes: postcard, appended in place.

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bytes;
use crate::error::{Error, Result};

/// Appends the encoding of `value` to `out`.
///
/// # Errors
/// If the type cannot be encoded, such as a sequence of unknown length. `out` may then have grown.
#[inline]
pub(crate) fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
    Ok(postcard::serialize_with_flavor(value, Append(out))?)
}

/// Reads a value that fills `bytes`.
///
/// # Errors
/// If the bytes are not a `T`: it has changed and the schema version has not, or nobody migrated.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(unreadable::<T>(&format!("{} bytes are left over", rest.len()))),
        Err(error) => Err(unreadable::<T>(&error.to_string())),
    }
}

/// Reads the value at the start of `bytes`, such as the first part of a pair.
///
/// # Errors
/// If the bytes do not begin with a `T`.
#[inline]
pub(crate) fn decode_start<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, _)) => Ok(value),
        Err(error) => Err(unreadable::<T>(&error.to_string())),
    }
}

#[cold]
fn unreadable<T>(why: &str) -> Error {
    let type_name = super::short_type_name::<T>();
    Error::msg(format_args!("what is stored cannot be read as `{type_name}`: {why}"))
}

/// A postcard output that extends a buffer, in one copy a piece.
struct Append<'o>(&'o mut Vec<u8>);

impl Flavor for Append<'_> {
    type Output = ();

    #[inline]
    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        bytes::append(self.0, data);
        Ok(())
    }

    #[inline]
    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_bytes_of_another_type() {
        let mut bytes = Vec::new();
        encode(&("abc", 7u64), &mut bytes).unwrap();
        assert_eq!(decode::<(String, u64)>(&bytes).unwrap(), ("abc".to_owned(), 7));
        assert_eq!(
            decode::<String>(&bytes).unwrap_err().to_string(),
            "what is stored cannot be read as `String`: 1 bytes are left over"
        );
        assert!(decode::<(String, u64, u8)>(&bytes).is_err());
    }
}
