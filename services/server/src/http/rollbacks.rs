//! Rollbacks: never blocked, recorded step by step.

pub mod complete;
pub mod fail;
pub mod get;
pub mod list;
pub mod observe;
pub mod start;
pub mod verify;

use release::release::Rollback;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct RollbackList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub rollbacks: Vec<&'a Rollback>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, rollback: Option<Uuid>) -> Result<View, Problem> {
    let found = match rollback {
        Some(rollback) => state.rollbacks.iter().find(|known| known.rollback == rollback),
        None => state.rollbacks.last(),
    };
    let found = found
        .ok_or_else(|| Refusal::new(RefusalCode::RollbackUnknown, "the release has no such rollback"))?;
    View::new(found, format!("/v1/releases/{id}/rollbacks/{}", found.rollback))
}
