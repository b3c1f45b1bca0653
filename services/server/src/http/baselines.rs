//! Metrics before the deployment, for comparison after it.

pub mod capture;
pub mod get;
pub mod list;

use release::Release;
use release::release::Baseline;
use release::value::ReleaseId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
pub struct BaselineList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub baselines: Vec<&'a Baseline>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, baseline: Option<Uuid>) -> Result<View, Problem> {
    let found = match baseline {
        Some(baseline) => state.baselines.iter().find(|known| known.baseline == baseline),
        None => state.baselines.last(),
    };
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, "the release has no such baseline"))?;
    View::new(found, format!("/v1/releases/{id}/baselines/{}", found.baseline))
}
