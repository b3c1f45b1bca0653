//! Authorizations of a production deployment: single use, until the window ends.

pub mod approve;
pub mod authorize;
pub mod get;
pub mod list;
pub mod revoke;

use release::release::Authorization;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct AuthorizationList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub authorizations: Vec<&'a Authorization>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// The one with this id, or the one recorded last.
fn view(id: &ReleaseId, state: &Release, authorization: Option<Uuid>) -> Result<View, Problem> {
    let found = match authorization {
        Some(authorization) => state.authorizations.iter().find(|known| known.authorization == authorization),
        None => state.authorizations.last(),
    };
    let found = found.ok_or_else(|| {
        Refusal::new(RefusalCode::AuthorizationUnknown, "the release has no such authorization")
    })?;
    View::new(found, format!("/v1/releases/{id}/authorizations/{}", found.authorization))
}
