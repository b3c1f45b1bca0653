//! `GET /v1/events`

use std::time::Duration;

use actix_web::web::Data;
use eventlog::{Position, Recorded};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::must_audit;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, FromQuery, NoBody, exact_integer};
use crate::http::lists;
use crate::http::problem::{Code, Problem};
use crate::http::releases::events::EventView;

/// The longest that one request waits for an event.
const MAX_WAIT_S: u32 = 30;

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// The position of the last event the caller has; the log is read from its beginning when absent.
    #[param(minimum = 0, maximum = 9007199254740991_u64, example = 1041)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub after: Option<u64>,
    /// How many events at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// How many seconds to wait when there is no event yet; none when absent.
    #[param(minimum = 0, maximum = 30)]
    pub wait_s: Option<u32>,
}

impl FromQuery for Feed {}

#[derive(Serialize, ToSchema)]
pub struct FeedPage {
    #[schema(max_items = 200)]
    pub events: Vec<EventView>,
    /// What to send as `after` next; absent while the log is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_after: Option<u64>,
}

/// Read the log
///
/// Events of all streams in the order they were recorded, byte for byte as stored. Positions are dense, so a
/// reader that keeps the last one misses nothing and sees nothing twice. With `wait_s` an empty page is answered
/// only after that time. For auditors of the installation.
#[utoipa::path(
    get,
    path = "/v1/events",
    operation_id = "listEvents",
    tag = "Events",
    params(Feed),
    responses((status = 200, description = "A page of events", body = FeedPage, example = json!({
        "events": [{"position": 1042, "header": {"type": "release.opened"}, "data": {"product": "checkout"}}],
        "next_after": 1042
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Feed>) -> Answer {
    let caller = &call.caller;
    let page = page(&app, &call).await.map_err(|problem| problem.on(caller))?;
    let position = page.next_after.map(Position);
    let next = page.next_after.filter(|_| !page.events.is_empty()).map(|after| after.to_string());
    lists::answer(caller, &call.query, &page, position, next.as_deref().map(|next| ("after", next)))
}

async fn page(app: &App, call: &Call<(), NoBody, Feed>) -> Result<FeedPage, Problem> {
    must_audit(&call.caller)?;
    let query = &call.query;
    let limit = lists::limit(query.limit)?;
    let wait = query.wait_s.unwrap_or(0);
    if wait > MAX_WAIT_S {
        return Err(Problem::field(Code::InvalidParameter, "wait_s", format!("0 to {MAX_WAIT_S}")));
    }
    let after = query.after.map(Position);
    let mut events = read(app, after, limit).await?;
    if events.is_empty() && wait > 0 {
        let mut feed = app.store.subscribe(after);
        tokio::select! {
            // Nobody keeps a service from stopping by waiting.
            () = app.stopping.cancelled() => {}
            _ = tokio::time::timeout(Duration::from_secs(wait.into()), feed.next()) => {}
        }
        events = read(app, after, limit).await?;
    }
    let next_after = events.last().map(|event| event.position.0).or(query.after);
    let events = events.iter().map(EventView::of).collect::<Result<_, _>>()?;
    Ok(FeedPage { events, next_after })
}

async fn read(app: &App, after: Option<Position>, limit: usize) -> Result<Vec<Recorded>, Problem> {
    app.store.read_all(after, limit).await.map_err(|error| Problem::internal(&error))
}
