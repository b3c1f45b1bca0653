//! Comments on a release.

pub mod add;
pub mod get;
pub mod list;

use release::release::Comment;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct CommentList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub comments: Vec<&'a Comment>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

fn view(id: &ReleaseId, state: &Release, comment: Option<Uuid>) -> Result<View, Problem> {
    let comment = comment
        .and_then(|comment| state.comments.iter().find(|known| known.comment == comment))
        .ok_or_else(|| Refusal::new(RefusalCode::CommentUnknown, "the release has no such comment"))?;
    View::new(comment, format!("/v1/releases/{id}/comments/{}", comment.comment))
}
