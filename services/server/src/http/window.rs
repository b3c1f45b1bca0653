//! The deployment window of a release.

pub mod get;
pub mod set;

use release::Release;
use release::value::ReleaseId;

use super::answer::View;
use super::problem::{Code, Problem};

fn view(id: &ReleaseId, state: &Release) -> Result<View, Problem> {
    let window = state.window.as_ref().ok_or_else(|| Problem::new(Code::NotFound, "no window is set"))?;
    View::new(window, format!("/v1/releases/{id}/window"))
}
