//! The one error type of functions: a message that the operator of the job will read.
//!
//! An [`Error`] is made from any standard error with `?`, from text with [`Error::msg`] or
//! [`bail!`](crate::bail). It is not matched on: inside a function the decision what to do is made
//! where the error arises, and what leaves the function becomes the text of a fault.

use std::fmt;

/// What a function returns.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as text, with the chain of its causes.
///
/// As in `anyhow`, `Error` does not implement [`std::error::Error`] itself, so that every type that
/// does converts into it with `?`.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// fn parse(text: &str) -> Result<u64> {
///     text.parse().map_err(|e| Error::from(e).context(format!("price {text:?}")))
/// }
/// assert_eq!(parse("x").unwrap_err().to_string(), "price \"x\": invalid digit found in string");
/// ```
pub struct Error {
    message: String,
}

impl Error {
    /// Makes an error of a text.
    pub fn msg(message: impl fmt::Display) -> Self {
        Self { message: message.to_string() }
    }

    /// Puts `context` before the message: `context: message`.
    #[must_use]
    pub fn context(self, context: impl fmt::Display) -> Self {
        Self { message: format!("{context}: {}", self.message) }
    }

    /// The message with its causes.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The message with its causes, without a copy.
    pub(crate) fn into_message(self) -> String {
        self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// As [`Display`](fmt::Display), since `main` and tests that return an error print it this way.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl<E: std::error::Error> From<E> for Error {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            // Many errors repeat their cause in their own text.
            if !message.ends_with(&text) {
                message.push_str(": ");
                message.push_str(&text);
            }
            cause = error.source();
        }
        Self { message }
    }
}

/// Returns from the function with an [`Error`] of the given format.
///
/// ```
/// use tidegate_sdk::prelude::*;
///
/// fn check(price: f64) -> Result<()> {
///     if price < 0.0 {
///         bail!("price {price} is negative");
///     }
///     Ok(())
/// }
/// assert_eq!(check(-1.0).unwrap_err().to_string(), "price -1 is negative");
/// ```
#[macro_export]
macro_rules! bail {
    ($($argument:tt)+) => {
        return ::core::result::Result::Err($crate::Error::msg(::core::format_args!($($argument)+)))
    };
}

/// A piece of a record for an error message: quoted, escaped, and cut after 80 bytes.
pub(crate) fn quote(bytes: &[u8]) -> String {
    const LENGTH_MAX: usize = 80;
    let cut = bytes.len().min(LENGTH_MAX);
    let text = String::from_utf8_lossy(&bytes[..cut]);
    // A cut within a character leaves replacement characters that were not in the record.
    let text = if cut < bytes.len() { text.trim_end_matches('\u{fffd}') } else { &text };
    let ellipsis = if cut < bytes.len() { "..." } else { "" };
    format!("\"{}\"{ellipsis}", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Outer(std::num::ParseIntError);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bad order")
        }
    }

    impl std::error::Error for Outer {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn keeps_the_chain() {
        let cause = "x".parse::<u8>().unwrap_err();
        let error = Error::from(Outer(cause)).context("line 3");
        assert_eq!(error.to_string(), "line 3: bad order: invalid digit found in string");
    }

    #[test]
    fn quotes_at_most_eighty_bytes() {
        assert_eq!(quote(b"a,\"b\"\n\xff"), "\"a,\\\"b\\\"\\n\u{fffd}\"");
        let long = "é".repeat(60);
        assert_eq!(quote(long.as_bytes()), format!("\"{}\"...", "é".repeat(40)));
        assert_eq!(quote(&long.as_bytes()[1..]), format!("\"\u{fffd}{}\"...", "é".repeat(39)));
    }
}
