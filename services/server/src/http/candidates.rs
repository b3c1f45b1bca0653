//! Candidates of a release.

pub mod bind;
pub mod get;
pub mod list;
pub mod preview;
pub mod reject;
pub mod tag;

use release::Release;
use release::release::Candidate;
use release::value::ReleaseId;
use release::{Refusal, RefusalCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct CandidateList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub candidates: Vec<&'a Candidate>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

fn view(id: &ReleaseId, state: &Release, number: u32) -> Result<View, Problem> {
    let candidate = state.candidate(number).ok_or_else(|| {
        Refusal::new(RefusalCode::CandidateUnknown, format!("the release has no candidate rc.{number}"))
    })?;
    View::new(candidate, format!("/v1/releases/{id}/candidates/{number}"))
}
