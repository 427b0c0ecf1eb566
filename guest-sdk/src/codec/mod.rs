//! Records to values and values to records.
//!
//! [`Decode`] may borrow from the batch, so that a function which looks at two fields of a line
//! copies nothing. [`Encode`] writes straight into the column that goes back to the host.

mod csv;
mod json;
mod text;

pub use csv::Csv;
pub use json::Json;

pub use crate::bindings::tidegate::function::declarations::Format;
use crate::error::Result;

/// A type that a record can be read into.
///
/// Implemented for [`Csv`], [`Json`], `&str`, `String`, `&[u8]` and `Vec<u8>`.
pub trait Decode<'a>: Sized {
    /// How the records are written, for one that is passed on as it is. Default
    /// [`Format::Bytes`], which fits every record.
    const FORMAT: Format = Format::Bytes;

    /// Reads a record, given without its line end.
    ///
    /// # Errors
    /// If the record is malformed; the message says what is wrong and quotes the record.
    fn decode(record: &'a [u8]) -> Result<Self>;
}

/// A type that can be written as a record.
///
/// Implemented for [`Csv`], [`Json`], `String`, `&str` and `Vec<u8>`.
pub trait Encode {
    /// How the records are written, so that the host can find a field in them.
    const FORMAT: Format;

    /// Appends the record to `out`, without a line end.
    ///
    /// # Errors
    /// If the type cannot be written in this format. What was appended is then dropped.
    fn encode(&self, out: &mut Vec<u8>) -> Result<()>;
}

/// An [`Encode`] type whose records are plain text, and which can therefore be written piece by
/// piece with [`collect_fmt`](crate::context::Context::collect_fmt).
pub trait Text: Encode {}
