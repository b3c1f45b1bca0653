//! JSON as it was sent: what is hashed is what is stored.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::value::Sha256Hex;

/// JSON byte for byte; only white space around it is dropped.
#[derive(Debug, Clone)]
pub struct SentJson(Arc<RawValue>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSON of at most {} bytes", SentJson::MAX_BYTES)]
pub struct InvalidSentJson;

impl SentJson {
    /// An event holds 256 KiB; what is said beside it needs room as well.
    pub const MAX_BYTES: usize = 160 * 1024;

    pub fn new(text: &str) -> Result<Self, InvalidSentJson> {
        RawValue::from_string(text.to_owned()).map_err(|_| InvalidSentJson).and_then(Self::bounded)
    }

    fn bounded(raw: Box<RawValue>) -> Result<Self, InvalidSentJson> {
        if raw.get().len() > Self::MAX_BYTES { Err(InvalidSentJson) } else { Ok(Self(raw.into())) }
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    pub fn hash(&self) -> Sha256Hex {
        crate::wire::sha256_hex(self.as_str().as_bytes())
    }
}

/// The same bytes; the same values written otherwise have another hash.
impl PartialEq for SentJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for SentJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for SentJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::bounded(Box::<RawValue>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
