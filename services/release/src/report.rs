//! What is told of recorded facts to people who sign their name. Pure functions of events and of data that a
//! release pinned: the same query at the same position gives the same bytes for ever. Who asked, when, with which
//! build and under which signature is beside a report, never in it.

/// The parts of a report. What may be absent is written as null, so that a reader sees that it was looked for.
macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident {
        $($(#[$fdoc:meta])* $field:ident: $ty:ty,)*
    } $(nullable { $($(#[$odoc:meta])* $ofield:ident: $oty:ty,)* })?;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name {
            $($(#[$fdoc])* pub $field: $ty,)*
            $($($(#[$odoc])* #[cfg_attr(feature = "openapi", schema(required = true))] pub $ofield: Option<$oty>,)*)?
        }
    )*};
}

pub mod controls;
pub mod fact;
pub mod generated;
pub mod metrics;
pub mod population;
pub mod reconciliation;
pub mod release;
pub mod sample;

use serde::Serialize;

pub use release::ReleaseReport;

/// The canonical bytes of a report: JSON by RFC 8785, which has one way to write a value.
pub fn canonical(report: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    serde_json_canonicalizer::to_vec(report)
}
