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
    #[schema(max_items = 9000)]
    pub evidence: Vec<&'a Evidence>,
}

/// The evidence that a command recorded or a path names: the first of `ids`.
fn view(id: &ReleaseId, state: &Release, ids: &[Uuid]) -> Result<View, Problem> {
    let evidence = ids.first().and_then(|evidence| state.evidence.get(evidence)).ok_or_else(|| {
        Refusal::new(RefusalCode::EvidenceUnknown, "no such evidence was recorded on this release")
    })?;
    View::new(evidence, format!("/v1/releases/{id}/evidence/{}", evidence.recorded.evidence))
}
