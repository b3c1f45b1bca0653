//! The JSON of a procedure as it was sent: what is hashed is what is stored.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::value::Sha256Hex;

/// A procedure's JSON, byte for byte; only white space around it is dropped.
#[derive(Debug, Clone)]
pub struct ProcedureJson(Arc<RawValue>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSON of at most {} bytes", ProcedureJson::MAX_BYTES)]
pub struct InvalidProcedureJson;

impl ProcedureJson {
    /// An event holds 256 KiB; the difference to another version needs room as well.
    pub const MAX_BYTES: usize = 160 * 1024;

    pub fn new(text: &str) -> Result<Self, InvalidProcedureJson> {
        RawValue::from_string(text.to_owned()).map_err(|_| InvalidProcedureJson).and_then(Self::bounded)
    }

    fn bounded(raw: Box<RawValue>) -> Result<Self, InvalidProcedureJson> {
        if raw.get().len() > Self::MAX_BYTES { Err(InvalidProcedureJson) } else { Ok(Self(raw.into())) }
    }

    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    pub fn hash(&self) -> Sha256Hex {
        crate::procedure::hash(self.as_str().as_bytes())
    }
}

/// The same bytes; the same values written otherwise are another procedure, with another hash.
impl PartialEq for ProcedureJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Serialize for ProcedureJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProcedureJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::bounded(Box::<RawValue>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
