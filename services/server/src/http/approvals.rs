//! Approvals of the deployment window: requests and their decisions.

pub mod approve;
pub mod get;
pub mod list;
pub mod reject;
pub mod request;
pub mod withdraw;

use release::release::Approval;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct ApprovalList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub requests: Vec<&'a Approval>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, request: Option<Uuid>) -> Result<View, Problem> {
    let found = match request {
        Some(request) => state.approvals.iter().find(|known| known.request == request),
        None => state.approvals.last(),
    };
    let found = found.ok_or_else(|| {
        Refusal::new(RefusalCode::ApprovalUnknown, "the release has no such approval request")
    })?;
    View::new(found, format!("/v1/releases/{id}/approvals/requests/{}", found.request))
}
