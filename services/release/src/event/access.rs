//! Requests of verified callers that their roles did not allow.

use serde::{Deserialize, Serialize};

use crate::value::ActorId;

data! {
    AccessDenied {
        principal: ActorId,
        /// Method and route: `POST /v1/releases`.
        operation: String,
        /// The name of the refusal.
        reason: String,
        /// How many requests this stands for.
        count: u64,
    };

    /// More than could be recorded one by one.
    AccessDenialsDropped { count: u64, };
}
