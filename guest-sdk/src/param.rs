//! Parameters: from the text of a job file to a value, and back for the declaration.

use std::time::Duration;

use crate::error::{Error, Result};

/// A type that a parameter of a function can have.
///
/// Implemented for [`Duration`], the integers, `f64`, `bool` and `String`.
pub trait Param: Sized {
    /// For people: "duration", "integer", "number", "text", "true or false".
    const TYPE_NAME: &'static str;

    /// What may be written, as the end of a sentence that begins with "write".
    const FORMS: &'static str;

    /// Reads the text of a job file. None if it is not of the type.
    fn parse(text: &str) -> Option<Self>;

    /// Writes the value so that [`parse`](Param::parse) reads it again.
    fn to_text(&self) -> String;
}

/// Reads a parameter, or says what is wrong with it.
pub(crate) fn parse<T: Param>(name: &str, text: &str) -> Result<T> {
    T::parse(text).ok_or_else(|| {
        let (kind, forms) = (T::TYPE_NAME, T::FORMS);
        Error::msg(format_args!("parameter `{name}` ({kind}): cannot read {text:?}; write {forms}"))
    })
}

/// Units of durations in milliseconds, the largest first.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// Whole milliseconds; what is finer is cut off.
impl Param for Duration {
    const TYPE_NAME: &'static str = "duration";
    const FORMS: &'static str =
        "a whole number and a unit, such as \"500ms\", \"10s\", \"5m\", \"1h\" or \"2d\"";

    fn parse(text: &str) -> Option<Self> {
        let split = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(split);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        let number: u64 = number.parse().ok()?;
        Some(Duration::from_millis(number.checked_mul(*factor)?))
    }

    fn to_text(&self) -> String {
        let milliseconds = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        if milliseconds == 0 {
            return "0s".to_owned();
        }
        let fits = |(_, factor): &&(&str, u64)| milliseconds.is_multiple_of(*factor);
        let (unit, factor) = UNITS.iter().find(fits).unwrap_or(&UNITS[4]);
        format!("{}{unit}", milliseconds / factor)
    }
}

macro_rules! integer {
    ($($type:ty),*) => {$(
        impl Param for $type {
            const TYPE_NAME: &'static str = "integer";
            const FORMS: &'static str =
                concat!("a whole number that fits `", stringify!($type), "`");

            fn parse(text: &str) -> Option<Self> {
                text.parse().ok()
            }

            fn to_text(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
integer!(i8, i16, i32, i64, u8, u16, u32, u64, usize);

impl Param for f64 {
    const TYPE_NAME: &'static str = "number";
    const FORMS: &'static str = "a number such as \"10\" or \"0.5\"";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Param for bool {
    const TYPE_NAME: &'static str = "true or false";
    const FORMS: &'static str = "\"true\" or \"false\"";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Param for String {
    const TYPE_NAME: &'static str = "text";
    const FORMS: &'static str = "any text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_round_trip() {
        for text in ["500ms", "10s", "5m", "1h", "2d", "0s", "90s"] {
            let duration: Duration = parse("period", text).unwrap();
            assert_eq!(duration.to_text(), text);
        }
        assert_eq!(Duration::from_millis(1_500).to_text(), "1500ms");
        assert_eq!(Duration::parse("48h"), Some(Duration::from_secs(172_800)));
        for text in ["", "10", "s", "1.5s", "-1s", "10 s", "10sec", "99999999999999999d"] {
            assert_eq!(Duration::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_bad_parameter_is_named_with_its_value_and_the_forms() {
        assert_eq!(
            parse::<Duration>("period", "10 sec").unwrap_err().to_string(),
            "parameter `period` (duration): cannot read \"10 sec\"; write a whole number and a \
             unit, such as \"500ms\", \"10s\", \"5m\", \"1h\" or \"2d\""
        );
        let error = parse::<u8>("n", "300").unwrap_err().to_string();
        assert!(
            error.ends_with("cannot read \"300\"; write a whole number that fits `u8`"),
            "{error}"
        );
        assert!(parse::<f64>("x", "0.5").is_ok() && parse::<bool>("x", "yes").is_err());
    }
}
