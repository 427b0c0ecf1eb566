//! What the component is to declare, as text in its data: `tag=one;kind=list;name=count;…`. Tests
//! write other text over it, so that one build gives any number of versions.

use std::hint::black_box;
use std::str::FromStr;

use tidegate_sdk::prelude::*;

/// What tests look for in the component; the text comes after it.
const MARKER: &[u8] = b"<chameleon's settings>";

/// Room for the marker and the text.
const BYTES: usize = 512;

/// What fills the room behind the text.
const FILLER: u8 = b' ';

static SETTINGS: [u8; BYTES] = {
    let mut settings = [FILLER; BYTES];
    settings.split_at_mut(MARKER.len()).0.copy_from_slice(MARKER);
    settings
};

/// The text as pairs.
pub struct Settings(Vec<(String, String)>);

impl Settings {
    /// Those that stand in this component.
    ///
    /// # Errors
    /// If they are no pairs.
    pub fn of_component() -> Result<Self> {
        // What tests write there is not known to the compiler, so it must not fold what is there.
        let bytes = &black_box(&SETTINGS)[MARKER.len()..];
        std::str::from_utf8(bytes).map_err(|_| Error::msg("the settings are no text"))?.parse()
    }

    /// What a setting says, or `default`.
    pub fn get<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map_or(default, |(_, value)| value.as_str())
    }
}

impl FromStr for Settings {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let pairs = text.trim_end().split(';').filter(|pair| !pair.is_empty());
        let pair = |pair: &str| {
            let (key, value) = pair
                .split_once('=')
                .ok_or_else(|| Error::msg(format_args!("setting {pair:?} is no pair")))?;
            Ok((key.to_owned(), value.to_owned()))
        };
        pairs.map(pair).collect::<Result<_>>().map(Self)
    }
}
