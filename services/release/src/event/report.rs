//! Reports that were made, and what was done with them.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::report::controls::ControlMappingRef;
use crate::report::population::PeriodQuery;
use crate::report::sample::{Included, SampleMethod};
use crate::value::{ActorId, Line, ReleaseId, Sha256Hex, Text};

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
    } optional {
        /// By which names the directory printed the people of the report then.
        #[cfg_attr(feature = "openapi", schema(max_items = 1_000))]
        names: Vec<NameThen>,
    };

    /// The name that somebody had in the directory when a report was made.
    NameThen {
        actor: ActorId,
        /// Of the event in the directory's stream that gave the name.
        revision: u64,
        /// The salted hash of the name.
        name_sha256: Sha256Hex,
    };

    /// Somebody drew rows of the report to look at; whoever has the report and the seed draws the same.
    ReportSampled {
        sample: Uuid,
        method: SampleMethod,
        size: u32,
        seed: Line,
        #[cfg_attr(feature = "openapi", schema(max_items = 3))]
        include: Vec<Included>,
        /// How rows are drawn.
        generator: Line,
        /// How many rows there were to draw from.
        rows: u64,
        /// How many are in the sample.
        drawn: u64,
        /// SHA-256 over their numbers in decimal, each with a line feed behind it.
        drawn_sha256: Sha256Hex,
        /// The rows in their order; none where all were taken.
        #[cfg_attr(feature = "openapi", schema(max_items = 10_000))]
        changes: Vec<u64>,
    };

    /// The report was compared with a list that somebody else keeps.
    ReportReconciled {
        reconciliation: Uuid,
        supplier: Line,
        /// Of the list as it was given.
        list_sha256: Sha256Hex,
        tolerance_s: u64,
        listed: u64,
        changes: u64,
        matched: u64,
        only_there: u64,
        only_here: u64,
        /// Everything that is listed is in the population.
        complete: bool,
        /// Of the comparison entry by entry, which is kept under this hash.
        result_sha256: Sha256Hex,
        result_size: u64,
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
    Period(PeriodQuery),
}

impl ReportQuery {
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Release { .. } => "release",
            Self::Period(_) => "period",
        }
    }

    /// The product it is of; none for a report across products.
    pub fn product(&self) -> Option<&str> {
        match self {
            Self::Release { release, .. } => Some(release.product()),
            Self::Period(PeriodQuery { products: Some(products), .. }) => match &products[..] {
                [product] => Some(product.as_str()),
                _ => None,
            },
            Self::Period(_) => None,
        }
    }
}
