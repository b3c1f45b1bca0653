//! Reports that were made, and what was done with them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::report::controls::ControlMappingRef;
use crate::value::{Line, ReleaseId, Sha256Hex, Text};

/// As long as a signed note may be.
pub type NoteText = Text<65_536>;

data! {
    /// A report was made; its bytes are kept under their hash. The same query at the same position by the same
    /// schema gives the same bytes for ever. Who asked and when is in the event's header.
    ReportGenerated {
        report: Uuid,
        query: ReportQuery,
        /// Of the last event that is included.
        position: u64,
        /// The root of the log at the size that ends with it.
        root: Sha256Hex,
        /// Of the report's shape.
        schema: u32,
        /// Of the canonical bytes.
        sha256: Sha256Hex,
        size: u64,
        /// The version of the program that made it.
        build: Line,
        /// The newest signed checkpoint at that time, which is of this size or of a later one; without its last
        /// newline.
        checkpoint: NoteText,
    };
}

/// What a report is of: everything that it depends on besides events, position and schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum ReportQuery {
    Release {
        release: ReleaseId,
        control_mapping: ControlMappingRef,
        /// How long records are kept.
        retention_months: u32,
    },
}

impl ReportQuery {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
        }
    }

    /// The product it is of; none for a report across products.
    pub fn product(&self) -> Option<&str> {
        match self {
            Self::Release { release, .. } => Some(release.product()),
        }
    }
}
