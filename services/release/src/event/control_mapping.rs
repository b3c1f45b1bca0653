//! Versions of a control mapping.

use serde::{Deserialize, Serialize};

use crate::sent_json::SentJson;
use crate::value::{Name, Sha256Hex};

data! {
    ControlMappingPublished {
        name: Name,
        version: u32,
        /// SHA-256 over the JSON of `mapping` as it stands here.
        hash: Sha256Hex,
        #[cfg_attr(feature = "openapi", schema(value_type = crate::report::controls::ControlMapping))]
        mapping: SentJson,
    };
}
