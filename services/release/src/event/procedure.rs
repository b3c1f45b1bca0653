//! Versions of a procedure: published by one person, activated by another.

use serde::{Deserialize, Serialize};

use super::Input;
use crate::procedures::ProcedureDifference;
use crate::sent_json::SentJson;
use crate::value::{Prose, Sha256Hex};

data! {
    ProcedurePublished {
        version: u32,
        /// SHA-256 over the JSON of `procedure` as it stands here.
        hash: Sha256Hex,
        /// To the version published before it.
        difference: ProcedureDifference,
        #[cfg_attr(feature = "openapi", schema(value_type = crate::procedure::Procedure))]
        procedure: SentJson,
    };

    ProcedureActivated {
        version: u32,
        hash: Sha256Hex,
        /// To the version that was in force until then.
        difference: ProcedureDifference,
    } optional {
        note: Prose,
        /// The directory of people as it was read.
        inputs: Vec<Input>,
    };

    ProcedureRetired { reason: Prose, };
}
