//! Bytes in JSON, as text of hexadecimal digits.

use serde::{Deserialize, Deserializer, Serializer, de};

use crate::model::hex;

pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex::encode(bytes))
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let bytes = hex::decode(&String::deserialize(deserializer)?);
    bytes.ok_or_else(|| de::Error::custom("no hex digits"))
}

/// The same for a list of byte strings.
pub mod strings {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::model::hex;

    pub fn serialize<S: Serializer>(all: &[Vec<u8>], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(all.iter().map(|bytes| hex::encode(bytes)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<Vec<u8>>, D::Error> {
        let all = Vec::<String>::deserialize(deserializer)?;
        let all: Option<_> = all.iter().map(|text| hex::decode(text)).collect();
        all.ok_or_else(|| de::Error::custom("no hex digits"))
    }
}
