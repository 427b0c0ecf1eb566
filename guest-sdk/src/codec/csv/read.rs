//! A serde deserializer over the fields of one line.

use std::borrow::Cow;
use std::str;

use serde::de::{self, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, Visitor};

use super::fields::Fields;
use super::{Problem, quote};
use crate::bytes;
use crate::error::Error;

/// Hands the fields of a line to serde, one after the other. Tuples, structs and lists only ask for
/// their parts; what asks for a scalar takes a field.
pub(super) struct Reader<'a> {
    fields: Fields<'a>,
    /// How many fields the type has, while that is known: the length of the only tuple or struct.
    expected: Option<usize>,
    /// How many tuples and structs were begun.
    tuples: usize,
    /// Set where a field was asked for and there was none.
    is_short: bool,
}

impl<'a> Reader<'a> {
    #[inline]
    pub(super) fn new(line: &'a [u8]) -> Self {
        Self { fields: Fields::new(line), expected: None, tuples: 0, is_short: false }
    }

    #[inline]
    pub(super) fn is_at_end(&self) -> bool {
        self.fields.is_at_end()
    }

    /// The problem of a line that has more fields than the type.
    #[cold]
    pub(super) fn too_many(&mut self) -> Problem {
        let expected = self.fields.taken;
        let found = expected + self.fields.count_rest();
        // No single field is to blame.
        self.is_short = true;
        Problem(format!("expected {}, found {found}", fields(expected)).into())
    }

    /// Says in which field of which record the problem is.
    #[cold]
    pub(super) fn explain(&self, problem: Problem, record: &[u8]) -> Error {
        let (record, number) = (quote(record), self.fields.taken);
        if self.is_short || number == 0 {
            return Error::msg(format_args!("{problem} in {record}"));
        }
        Error::msg(format_args!("field {number}: {problem} in {record}"))
    }

    /// Takes a field of whatever form. Those that are not quoted have a shorter way.
    #[cold]
    fn field(&mut self) -> Result<Cow<'a, [u8]>, Problem> {
        match self.fields.next()? {
            Some(field) => Ok(field),
            None => Err(self.too_few()),
        }
    }

    #[cold]
    fn too_few(&mut self) -> Problem {
        self.is_short = true;
        let found = self.fields.taken;
        let expected = match self.expected {
            Some(expected) => fields(expected),
            None => format!("more than {}", fields(found)),
        };
        Problem(format!("expected {expected}, found {found}").into())
    }

    /// Takes a field and reads it with `parse`.
    #[inline]
    fn parsed<T>(
        &mut self,
        what: &'static str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<T, Problem> {
        if let Some(field) = self.fields.next_plain() {
            return parse(field).ok_or_else(|| not_a(what, field));
        }
        let field = self.field()?;
        parse(&field).ok_or_else(|| not_a(what, &field))
    }

    #[inline]
    fn begin_tuple(&mut self, length: usize) {
        self.tuples += 1;
        self.expected = (self.tuples == 1).then_some(length);
    }
}

fn fields(count: usize) -> String {
    format!("{count} field{}", if count == 1 { "" } else { "s" })
}

#[cold]
fn not_a(what: &str, field: &[u8]) -> Problem {
    Problem(format!("expected {what}, found {}", quote(field)).into())
}

/// Reads digits with an optional minus and point, up to 15 of them. They make a whole number that a
/// float holds exactly, as it holds the power of ten that it is divided by; one division rounds as
/// it should (Clinger, How to Read Floating Point Numbers Accurately, 1990).
#[inline]
fn parse_short_decimal(field: &[u8]) -> Option<f64> {
    const POWERS: [f64; 16] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
    let (negative, text) = match field {
        [b'-', text @ ..] => (true, text),
        text => (false, text),
    };
    // With the point.
    if text.len() > 16 {
        return None;
    }
    let (mut value, mut digits, mut point) = (0_u64, 0, None);
    for &byte in text {
        match byte {
            b'0'..=b'9' => {
                value = value * 10 + u64::from(byte - b'0');
                digits += 1;
            }
            b'.' if point.is_none() => point = Some(digits),
            _ => return None,
        }
    }
    if digits == 0 || digits > 15 {
        return None;
    }
    let value = value as f64 / POWERS[digits - point.unwrap_or(digits)];
    Some(if negative { -value } else { value })
}

fn parse_text<T: str::FromStr>(field: &[u8]) -> Option<T> {
    str::from_utf8(field).ok()?.parse().ok()
}

macro_rules! integers {
    ($($method:ident $visit:ident $type:ty),*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            match self.fields.next_integer() {
                Some(value) => visitor.$visit(value),
                None => visitor.$visit(self.parsed("an integer", parse_text)?),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for &mut Reader<'de> {
    type Error = Problem;

    integers! {
        deserialize_i8 visit_i8 i8, deserialize_i16 visit_i16 i16,
        deserialize_i32 visit_i32 i32, deserialize_i64 visit_i64 i64,
        deserialize_u8 visit_u8 u8, deserialize_u16 visit_u16 u16,
        deserialize_u32 visit_u32 u32, deserialize_u64 visit_u64 u64,
        deserialize_i128 visit_i128 i128, deserialize_u128 visit_u128 u128
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_f32(self.parsed("a number", parse_text)?)
    }

    #[inline]
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let parse = |field: &[u8]| parse_short_decimal(field).or_else(|| parse_text(field));
        visitor.visit_f64(self.parsed("a number", parse)?)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_bool(self.parsed("true or false", parse_text)?)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_char(self.parsed("one character", parse_text)?)
    }

    #[inline]
    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let field = match self.fields.next_plain() {
            Some(field) => Cow::Borrowed(field),
            None => self.field()?,
        };
        match field {
            Cow::Borrowed(field) => match bytes::text(field) {
                Ok(text) => visitor.visit_borrowed_str(text),
                Err(_) => Err(not_a("UTF-8 text", field)),
            },
            Cow::Owned(field) => match String::from_utf8(field) {
                Ok(text) => visitor.visit_string(text),
                Err(error) => Err(not_a("UTF-8 text", error.as_bytes())),
            },
        }
    }

    #[inline]
    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.field()? {
            Cow::Borrowed(field) => visitor.visit_borrowed_bytes(field),
            Cow::Owned(field) => visitor.visit_byte_buf(field),
        }
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.fields.is_next_empty() {
            self.field()?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let empty = |field: &[u8]| field.is_empty().then_some(());
        self.parsed("an empty field", empty)?;
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_unit(visitor)
    }

    #[inline]
    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    /// A list takes all fields that are left.
    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_seq(Rest(self))
    }

    #[inline]
    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.begin_tuple(length);
        visitor.visit_seq(Parts { reader: self, left: length })
    }

    #[inline]
    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_tuple(length, visitor)
    }

    #[inline]
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        self.deserialize_tuple(names.len(), visitor)
    }

    /// An enum without data is the name of its variant.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let field = self.field()?;
        let text = str::from_utf8(&field).map_err(|_| not_a("UTF-8 text", &field))?;
        visitor.visit_enum(text.into_deserializer())
    }

    fn deserialize_map<V: Visitor<'de>>(self, _visitor: V) -> Result<V::Value, Problem> {
        Err(Problem::custom("Csv reads fields by position and cannot fill a map"))
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    /// Without a type to guide it a field is text.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        self.deserialize_str(visitor)
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        if self.fields.next_plain().is_none() {
            self.field()?;
        }
        visitor.visit_unit()
    }
}

/// The parts of a tuple or struct.
struct Parts<'r, 'de> {
    reader: &'r mut Reader<'de>,
    left: usize,
}

impl<'de> de::SeqAccess<'de> for Parts<'_, 'de> {
    type Error = Problem;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Problem> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

/// The fields to the end of the line.
struct Rest<'r, 'de>(&'r mut Reader<'de>);

impl<'de> de::SeqAccess<'de> for Rest<'_, 'de> {
    type Error = Problem;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Problem> {
        if self.0.is_at_end() {
            return Ok(None);
        }
        seed.deserialize(&mut *self.0).map(Some)
    }
}
