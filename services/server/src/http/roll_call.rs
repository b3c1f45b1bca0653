//! The roll-call: is everybody go for production.

pub mod amend;
pub mod answer;
pub mod get;
pub mod list;

use release::Release;
use release::release::RollCallEntry;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct RollCall<'a> {
    /// The latest answer of each role and person, for the current candidate and window.
    #[schema(max_items = 9000)]
    pub answers: Vec<&'a RollCallEntry>,
}

fn of(state: &Release) -> RollCall<'_> {
    RollCall { answers: state.answers().collect() }
}
