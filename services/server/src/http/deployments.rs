//! Deployments of a release, in staging and in production.

pub mod amend;
pub mod analysis;
pub mod finish;
pub mod get;
pub mod list;
pub mod migrations;
pub mod probes;
pub mod proceed;
pub mod samples;
pub mod series;
pub mod start;
pub mod traffic;

use release::release::Deployment;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct DeploymentList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub deployments: Vec<&'a Deployment>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, deployment: Option<Uuid>) -> Result<View, Problem> {
    let found = match deployment {
        Some(deployment) => state.deployments.iter().find(|known| known.deployment == deployment),
        None => state.deployments.last(),
    };
    let found = found
        .ok_or_else(|| Refusal::new(RefusalCode::DeploymentUnknown, "the release has no such deployment"))?;
    View::new(found, format!("/v1/releases/{id}/deployments/{}", found.deployment))
}
