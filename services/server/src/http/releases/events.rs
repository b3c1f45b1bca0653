//! `GET /v1/releases/{release}/events`

use actix_web::web::Data;
use eventlog::{Recorded, Revision};
use jiff::Timestamp;
use release::ReleaseEvent;
use release::release::as_at::by_then;
use release::value::ReleaseId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::{AsOf, read, stream};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, FromQuery, NoBody, exact_integer};
use crate::http::lists;
use crate::http::problem::Problem;

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The first revision to read; 0 when absent.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub from_revision: Option<u64>,
    /// How many events at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// The history by events recorded at or before this time (RFC 3339).
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_of: Option<Timestamp>,
    /// The history by events up to this position of the log.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_position: Option<u64>,
    /// The history by events up to this revision of the release.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_revision: Option<u64>,
    /// Without evidence, samples and observations of which nothing had happened by this time (RFC 3339).
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_at: Option<Timestamp>,
}

impl FromQuery for History {}

impl History {
    fn when(&self) -> AsOf {
        let Self { as_of, at_position, at_revision, as_at, .. } = *self;
        AsOf { as_of, at_position, at_revision, as_at }
    }
}

#[derive(Serialize, ToSchema)]
pub struct EventPage {
    #[schema(max_items = 200)]
    pub events: Vec<EventView>,
    /// Where the next page starts; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_from_revision: Option<u64>,
}

/// An event with its header and data exactly as stored, and its place in the log.
#[derive(Serialize, ToSchema)]
pub struct EventView {
    pub position: u64,
    /// Event id, stream, revision, type, times, actor, request: the bytes that are hashed.
    #[schema(value_type = Object)]
    pub header: Box<RawValue>,
    /// What happened, with a random `salt`.
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
}

impl EventView {
    pub fn of(recorded: &Recorded) -> Result<Self, Problem> {
        let raw = |bytes: &[u8]| {
            let text = std::str::from_utf8(bytes).map_err(|error| Problem::internal(&error))?;
            RawValue::from_string(text.to_owned()).map_err(|error| Problem::internal(&error))
        };
        Ok(Self { position: recorded.position.0, header: raw(&recorded.header)?, data: raw(&recorded.data)? })
    }
}

/// Read the history of a release
///
/// Every event of the release in the order it was recorded, byte for byte as stored. Fold them from revision
/// 0 and you have the release's state.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/events",
    operation_id = "listReleaseEvents",
    tag = "Events",
    params(History),
    responses((status = 200, description = "A page of events", body = EventPage)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, History>) -> Answer {
    let page = page(&app, &call).await.map_err(|problem| problem.on(&call.caller))?;
    let next = page.next_from_revision.map(|next| next.to_string());
    let next = next.as_deref().map(|next| ("from_revision", next));
    lists::answer(&call.caller, &call.query, &page, None, next)
}

async fn page(app: &App, call: &Call<ReleaseId, NoBody, History>) -> Result<EventPage, Problem> {
    let snapshot = read(app, &call.caller, &call.path, &call.query.when()).await?;
    let limit = lists::limit(call.query.limit)?;
    let from = call.query.from_revision.unwrap_or(0);
    let stream = stream(&call.caller, &call.path)?;
    // One more than asked for says whether there is a next page.
    let mut recorded = app
        .store
        .read_stream(&stream, Revision(from), limit + 1)
        .await
        .map_err(|error| Problem::internal(&error))?;
    recorded.retain(|event| event.revision <= snapshot.revision);
    let next = (recorded.len() > limit).then_some(from + limit as u64);
    recorded.truncate(limit);
    if let Some(instant) = call.query.as_at {
        let facts = recorded.iter().map(|event| app.format.fact::<ReleaseEvent>(event));
        let facts = facts.collect::<Result<Vec<_>, _>>()?;
        let mut happened = facts.iter().map(|(fact, _)| by_then(fact, instant).is_some());
        recorded.retain(|_| happened.next().unwrap_or_default());
    }
    let events = recorded.iter().map(EventView::of).collect::<Result<_, _>>()?;
    Ok(EventPage { events, next_from_revision: next })
}
