//! Text and bytes: records as they are.

use super::{Decode, Encode, Format, Text};
use crate::bytes;
use crate::error::{Error, Result, quote};

impl<'a> Decode<'a> for &'a str {
    const FORMAT: Format = Format::Lines;

    fn decode(record: &'a [u8]) -> Result<Self> {
        bytes::text(record)
            .map_err(|_| Error::msg(format_args!("not UTF-8 text: {}", quote(record))))
    }
}

impl<'a> Decode<'a> for String {
    const FORMAT: Format = Format::Lines;

    fn decode(record: &'a [u8]) -> Result<Self> {
        <&str>::decode(record).map(str::to_owned)
    }
}

impl<'a> Decode<'a> for &'a [u8] {
    const FORMAT: Format = Format::Bytes;

    fn decode(record: &'a [u8]) -> Result<Self> {
        Ok(record)
    }
}

impl<'a> Decode<'a> for Vec<u8> {
    const FORMAT: Format = Format::Bytes;

    fn decode(record: &'a [u8]) -> Result<Self> {
        Ok(record.to_vec())
    }
}

/// The text must have no line ends: each record is one line.
impl Encode for String {
    const FORMAT: Format = Format::Lines;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        bytes::append(out, self.as_bytes());
        Ok(())
    }
}

/// The text must have no line ends: each record is one line.
impl Encode for &str {
    const FORMAT: Format = Format::Lines;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        bytes::append(out, self.as_bytes());
        Ok(())
    }
}

impl Encode for Vec<u8> {
    const FORMAT: Format = Format::Bytes;

    #[inline]
    fn encode(&self, out: &mut Vec<u8>) -> Result<()> {
        bytes::append(out, self);
        Ok(())
    }
}

impl Text for String {}
impl Text for &str {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_must_be_utf8() {
        assert_eq!(<&str>::decode("né".as_bytes()).unwrap(), "né");
        let error = String::decode(b"a\xffb").unwrap_err();
        assert_eq!(error.to_string(), "not UTF-8 text: \"a\u{fffd}b\"");
        assert_eq!(<&[u8]>::decode(b"a\xffb").unwrap(), b"a\xffb");
    }
}
