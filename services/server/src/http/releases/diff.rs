//! `GET /v1/releases/{release}/diff`

use actix_web::web::Data;
use eventlog::Revision;
use release::difference::{Difference, difference};
use release::value::ReleaseId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::events::EventView;
use super::{AsOf, Snapshot, read, stream};
use crate::app::App;
use crate::http::answer::{Answer, Freshness, json};
use crate::http::call::{Call, FromQuery, NoBody, exact, exact_integer};
use crate::http::lists;
use crate::http::problem::{Code, Problem};

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Between {
    /// A position of the log: the state up to it is compared.
    #[param(minimum = 0, maximum = 9007199254740991_u64, example = 1042)]
    #[serde(deserialize_with = "exact")]
    pub from: u64,
    /// The later position; now when absent.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub to: Option<u64>,
    /// The first revision of the events to list; the first after `from` when absent.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub from_revision: Option<u64>,
    /// How many events at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
}

impl FromQuery for Between {}

/// What changed, and the events that changed it.
#[derive(Serialize, ToSchema)]
pub struct ReleaseDiff {
    /// The last events of the release at the two positions; a command's events stay together.
    pub from: Moment,
    pub to: Moment,
    pub changed: Difference,
    /// Those after `from`, up to `to`.
    #[schema(max_items = 200)]
    pub events: Vec<EventView>,
    /// Where the next page of events starts; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_from_revision: Option<u64>,
}

#[derive(Serialize, ToSchema)]
pub struct Moment {
    pub revision: u64,
    pub position: u64,
}

impl Moment {
    fn of(snapshot: &Snapshot) -> Self {
        Self { revision: snapshot.revision.0, position: snapshot.position.map_or(0, |position| position.0) }
    }
}

/// Compare a release at two positions
///
/// What changed between two positions of the log: the release as a whole, its current candidate, items and gates with
/// their verdicts before and after, approvals, waivers and exceptions; and the events that lie between. 404 when the
/// release was not opened at the first position.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/diff",
    operation_id = "diffRelease",
    tag = "Releases",
    params(Between),
    responses((status = 200, description = "What changed", body = ReleaseDiff)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, Between>) -> Answer {
    diff(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn diff(app: &App, call: &Call<ReleaseId, NoBody, Between>) -> Answer {
    let (caller, id, query) = (&call.caller, &call.path, &call.query);
    let limit = lists::limit(query.limit)?;
    if query.to.is_some_and(|to| to < query.from) {
        return Err(Problem::field(Code::InvalidParameter, "to", "not before from"));
    }
    let at = |at_position| AsOf { at_position, ..AsOf::default() };
    let before = read(app, caller, id, &at(Some(query.from))).await?;
    let after = read(app, caller, id, &at(query.to)).await?;
    let changed = difference(&before.release.state, &after.release.state);
    let from = Revision(query.from_revision.unwrap_or(0).max(before.revision.0 + 1));
    // One more than asked for says whether there is a next page.
    let mut recorded = app.store.read_stream(&stream(caller, id)?, from, limit + 1).await?;
    recorded.retain(|event| event.revision <= after.revision);
    let next_from_revision = (recorded.len() > limit).then_some(from.0 + limit as u64);
    recorded.truncate(limit);
    let events = recorded.iter().map(EventView::of).collect::<Result<_, _>>()?;
    let view = ReleaseDiff {
        from: Moment::of(&before),
        to: Moment::of(&after),
        changed,
        events,
        next_from_revision,
    };
    let past = before.freshness == Freshness::Past && after.freshness == Freshness::Past;
    let freshness = if past { Freshness::Past } else { Freshness::Live };
    let shown = Snapshot { freshness, ..after };
    let response = shown.answer(caller, json(&view)?);
    let next = next_from_revision.map(|next| next.to_string());
    Ok(lists::linked(response, caller, query, next.as_deref().map(|next| ("from_revision", next))))
}
