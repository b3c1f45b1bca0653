//! Intervals that have to pass: a canary's, the monitoring's, a lease's.

pub mod list;

use release::release::Timer;
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub struct TimerList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub timers: Vec<&'a Timer>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}
