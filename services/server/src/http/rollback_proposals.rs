//! Proposals to roll back, and what was decided.

pub mod decide;
pub mod get;
pub mod list;
pub mod propose;

use release::release::Proposal;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct ProposalList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub proposals: Vec<&'a Proposal>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, proposal: Option<Uuid>) -> Result<View, Problem> {
    let found = match proposal {
        Some(proposal) => state.proposals.iter().find(|known| known.proposal == proposal),
        None => state.proposals.last(),
    };
    let found = found
        .ok_or_else(|| Refusal::new(RefusalCode::ProposalUnknown, "the release has no such proposal"))?;
    View::new(found, format!("/v1/releases/{id}/rollback-proposals/{}", found.proposal))
}
