//! Signs that production should go back.

pub mod get;
pub mod list;
pub mod trigger;

use release::Release;
use release::release::Trigger;
use release::value::ReleaseId;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
pub struct TriggerList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub triggers: Vec<&'a Trigger>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, trigger: Option<Uuid>) -> Result<View, Problem> {
    let found = match trigger {
        Some(trigger) => state.triggers.iter().find(|known| known.trigger == trigger),
        None => state.triggers.last(),
    };
    let found = found.ok_or_else(|| Problem::new(Code::NotFound, "the release has no such trigger"))?;
    View::new(found, format!("/v1/releases/{id}/rollback-triggers/{}", found.trigger))
}
