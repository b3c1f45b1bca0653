//! Waivers of items.

pub mod deny;
pub mod get;
pub mod grant;
pub mod list;
pub mod request;

use release::release::Waiver;
use release::value::{ItemNumber, ReleaseId};
use release::{Refusal, RefusalCode, Release};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::answer::View;
use super::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct WaiverList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub waivers: Vec<&'a Waiver>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

fn view(id: &ReleaseId, state: &Release, item: ItemNumber, waiver: Option<Uuid>) -> Result<View, Problem> {
    let waiver = waiver
        .and_then(|waiver| state.waivers.get(&waiver))
        .filter(|waiver| waiver.item == item)
        .ok_or_else(|| Refusal::new(RefusalCode::WaiverUnknown, format!("item {item} has no such waiver")))?;
    View::new(waiver, format!("/v1/releases/{id}/items/{item}/waivers/{}", waiver.waiver))
}
