//! A serde serializer that writes fields to one line.

use std::fmt::Display;
use std::io::Write as _;

use serde::Serialize;
use serde::ser::{self, Serializer};

use super::Problem;
use crate::bytes;

/// Appends fields to a line, with a comma before each but the first.
pub(super) struct Writer<'o> {
    out: &'o mut Vec<u8>,
    is_first: bool,
}

impl<'o> Writer<'o> {
    #[inline]
    pub(super) fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out, is_first: true }
    }

    #[inline]
    fn begin_field(&mut self) {
        if !self.is_first {
            self.out.push(b',');
        }
        self.is_first = false;
    }

    #[inline]
    fn integer(&mut self, value: impl itoa::Integer) {
        self.begin_field();
        bytes::append(self.out, itoa::Buffer::new().format(value).as_bytes());
    }

    fn formatted(&mut self, value: std::fmt::Arguments<'_>) -> Result<(), Problem> {
        self.begin_field();
        self.out.write_fmt(value).map_err(ser::Error::custom)
    }

    /// Writes text as it is, or quoted where it would not be read back as one field.
    #[inline]
    fn text(&mut self, text: &[u8]) {
        self.begin_field();
        if !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r')) {
            bytes::append(self.out, text);
            return;
        }
        self.out.push(b'"');
        for byte in text {
            if *byte == b'"' {
                self.out.push(b'"');
            }
            self.out.push(*byte);
        }
        self.out.push(b'"');
    }
}

/// A number with a few digits after its point: `whole.fraction`.
struct Decimal {
    is_negative: bool,
    whole: u64,
    /// The digits after the point, with a 1 before them that keeps their zeros.
    fraction: u64,
}

impl Decimal {
    fn write(&self, out: &mut Vec<u8>) {
        if self.is_negative {
            out.push(b'-');
        }
        bytes::append(out, itoa::Buffer::new().format(self.whole).as_bytes());
        out.push(b'.');
        bytes::append(out, &itoa::Buffer::new().format(self.fraction).as_bytes()[1..]);
    }
}

/// The shortest decimal that reads back as `value`, if it has at most 15 digits, four of them after
/// the point. That is nearly every number that somebody wrote down. A float is read back from no
/// more than one decimal of 15 digits, so one that is found is the shortest, once shorter fractions
/// were tried before.
#[inline]
fn short_decimal(value: f64) -> Option<Decimal> {
    const DIGITS_MAX: f64 = 1e15;
    // Smaller ones are written with an exponent; zero may have a sign.
    let size = value.abs();
    if !(1e-4..DIGITS_MAX).contains(&size) {
        return None;
    }
    for power in [1e0, 1e1, 1e2, 1e3, 1e4] {
        let digits = (size * power).round_ties_even();
        if digits >= DIGITS_MAX {
            return None;
        }
        if digits / power == size {
            let (digits, power) = (digits as u64, power as u64);
            let (whole, rest) = (digits / power, digits % power);
            // A whole number has one zero after its point.
            let fraction = if power == 1 { 10 } else { power + rest };
            return Some(Decimal { is_negative: value < 0.0, whole, fraction });
        }
    }
    None
}

fn unsupported<T>(what: &str) -> Result<T, Problem> {
    Err(Problem(format!("Csv writes fields by position and cannot write {what}").into()))
}

macro_rules! integers {
    ($($method:ident $type:ty),*) => {$(
        #[inline]
        fn $method(self, value: $type) -> Result<(), Problem> {
            self.integer(value);
            Ok(())
        }
    )*};
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Problem;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeStruct = Self;
    type SerializeTupleVariant = ser::Impossible<(), Problem>;
    type SerializeMap = ser::Impossible<(), Problem>;
    type SerializeStructVariant = ser::Impossible<(), Problem>;

    integers! {
        serialize_i8 i8, serialize_i16 i16, serialize_i32 i32, serialize_i64 i64,
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64,
        serialize_i128 i128, serialize_u128 u128
    }

    fn serialize_bool(self, value: bool) -> Result<(), Problem> {
        self.text(if value { b"true" } else { b"false" });
        Ok(())
    }

    /// Debug formatting keeps `50.0` a number with a point, and is the shortest that reads back
    /// exactly.
    fn serialize_f32(self, value: f32) -> Result<(), Problem> {
        self.formatted(format_args!("{value:?}"))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Problem> {
        match short_decimal(value) {
            Some(decimal) => {
                self.begin_field();
                decimal.write(self.out);
                Ok(())
            }
            None => self.formatted(format_args!("{value:?}")),
        }
    }

    fn serialize_char(self, value: char) -> Result<(), Problem> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Result<(), Problem> {
        self.text(value.as_bytes());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Problem> {
        self.text(value);
        Ok(())
    }

    fn serialize_none(self) -> Result<(), Problem> {
        self.begin_field();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Problem> {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Problem> {
        self.serialize_none()
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Result<(), Problem> {
        self.serialize_none()
    }

    fn serialize_unit_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
    ) -> Result<(), Problem> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        value: &T,
    ) -> Result<(), Problem> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _value: &T,
    ) -> Result<(), Problem> {
        unsupported("an enum with data")
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<Self, Problem> {
        Ok(self)
    }

    fn serialize_tuple(self, _length: usize) -> Result<Self, Problem> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _length: usize) -> Result<Self, Problem> {
        Ok(self)
    }

    fn serialize_struct(self, _: &'static str, _length: usize) -> Result<Self, Problem> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeTupleVariant, Problem> {
        unsupported("an enum with data")
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<Self::SerializeMap, Problem> {
        unsupported("a map")
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        _variant: &'static str,
        _length: usize,
    ) -> Result<Self::SerializeStructVariant, Problem> {
        unsupported("an enum with data")
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Problem> {
        self.text(value.to_string().as_bytes());
        Ok(())
    }
}

macro_rules! parts {
    ($($trait:ident $method:ident $($name:ident)?),*) => {$(
        impl ser::$trait for &mut Writer<'_> {
            type Ok = ();
            type Error = Problem;

            #[inline]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Problem> {
                value.serialize(&mut **self)
            }

            #[inline]
            fn end(self) -> Result<(), Problem> {
                Ok(())
            }
        }
    )*};
}
parts! {
    SerializeSeq serialize_element,
    SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field,
    SerializeStruct serialize_field _name
}
