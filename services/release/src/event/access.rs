//! Requests of verified callers that their roles did not allow, and what auditors read.

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::value::{ActorId, ReleaseId};

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

    /// An auditor read something of a release, or the report of a period: the first time on a day.
    RecordAccessed {
        principal: ActorId,
        record: AccessedRecord,
        /// In UTC.
        #[cfg_attr(feature = "openapi", schema(value_type = String, format = Date))]
        day: Date,
        /// Method and route of the first answer: `GET /v1/releases/{release}/report`.
        operation: String,
    } optional {
        /// The log's position that the first answer included, where it named one.
        position: u64,
    };

    /// Reads by auditors that were too many to wait for the log; whoever reads the same again is recorded.
    RecordAccessesDropped { count: u64, };
}

/// What was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AccessedRecord {
    /// Anything of a release, a report of it included.
    Release(ReleaseId),
    /// The report of a period, its samples and its comparisons included.
    Report(Uuid),
}
