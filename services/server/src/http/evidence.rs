//! Evidence of a release.

pub mod get;
pub mod list;
pub mod record;
pub mod record_for_item;
pub mod retract;

use release::Release;
use release::release::Evidence;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct EvidenceList<'a> {
    /// In the order it was recorded.
    #[schema(max_items = 200)]
    pub evidence: Vec<&'a Evidence>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The evidence that a command recorded or a path names: the first of `ids`.
fn view(id: &ReleaseId, state: &Release, ids: &[Uuid]) -> Result<View, Problem> {
    let evidence = ids.first().and_then(|evidence| state.evidence.get(evidence)).ok_or_else(|| {
        Refusal::new(RefusalCode::EvidenceUnknown, "no such evidence was recorded on this release")
    })?;
    View::new(evidence, format!("/v1/releases/{id}/evidence/{}", evidence.recorded.evidence))
}
