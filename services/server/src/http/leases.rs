//! The duty to keep the previous version available for rollback.

pub mod break_lease;
pub mod extend;
pub mod get;
pub mod list;
pub mod probe;
pub mod release_lease;

use release::release::RollbackLease;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct LeaseList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub leases: Vec<&'a RollbackLease>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, lease: Option<Uuid>) -> Result<View, Problem> {
    let found = match lease {
        Some(lease) => state.leases.iter().find(|known| known.lease == lease),
        None => state.leases.last(),
    };
    let found =
        found.ok_or_else(|| Refusal::new(RefusalCode::LeaseUnknown, "the release has no such lease"))?;
    View::new(found, format!("/v1/releases/{id}/leases/{}", found.lease))
}
