//! `GET /v1/events/{event}`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use eventlog::{Position, Recorded, StreamId};
use uuid::Uuid;

use super::audits;
use crate::app::App;
use crate::http::accessed::shows;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, Caller, FromPath, NoBody, is_canonical};
use crate::http::lists;
use crate::http::problem::{Code, Problem};
use crate::http::releases::events::EventView;
use crate::names;
use crate::views::{self, View};

/// How an event is named in a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventRef {
    Position(Position),
    Id(Uuid),
}

impl FromPath for EventRef {
    fn from_path(request: &HttpRequest) -> Result<Self, Problem> {
        let text = request.match_info().get("event").unwrap_or_default();
        let position = text.parse::<u64>().ok().filter(|position| is_canonical(position, text));
        let id = Uuid::try_parse(text).ok().filter(|id| is_canonical(id, text));
        let position = position.map(|position| Self::Position(Position(position)));
        position.or(id.map(Self::Id)).ok_or_else(unknown)
    }
}

/// Read an event
///
/// One event by its position in the log or by its id, byte for byte as stored. Readers of a product see the
/// events of its releases, settings and environments; auditors of the installation see all.
#[utoipa::path(
    get,
    path = "/v1/events/{event}",
    operation_id = "getEvent",
    tag = "Events",
    responses((status = 200, description = "The event", body = EventView, example = json!({
        "position": 1042, "header": {"type": "release.opened"}, "data": {"product": "checkout"}
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<EventRef, NoBody>) -> Answer {
    let caller = &call.caller;
    let event = read(&app, caller, call.path).await.map_err(|problem| problem.on(caller))?;
    let answer = HttpResponse::Ok()
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Cache-Control", "private, immutable, max-age=31536000"))
        .insert_header(("Shiplog-Position", event.position.to_string()))
        .body(json(&EventView::of(&event)?)?);
    Ok(shows(answer, &event.stream))
}

pub async fn read(app: &App, caller: &Caller, event: EventRef) -> Result<Recorded, Problem> {
    caller.has_any_role()?;
    let position = match event {
        EventRef::Position(position) => position,
        EventRef::Id(id) => {
            // Whoever just recorded it finds it.
            lists::ready(app, View::EventIds, app.store.head().map(|head| head.0)).await?;
            lists::query(app, move |db| views::position_of(db, id)).await?.ok_or_else(unknown)?
        }
    };
    let before = position.0.checked_sub(1).map(Position);
    let found = app.store.read_all(before, 1).await.map_err(|error| Problem::internal(&error))?;
    // What the caller may not read does not exist for them, or positions would tell of other tenants.
    found
        .into_iter()
        .next()
        .filter(|found| found.position == position && (audits(caller) || may_read(caller, &found.stream)))
        .ok_or_else(unknown)
}

/// Whether the stream belongs to a product of the caller's own tenant that they read.
fn may_read(caller: &Caller, stream: &StreamId) -> bool {
    let of_product =
        |tenant: &str, product: &str| tenant == caller.tenant() && caller.may_read(Some(product)).is_ok();
    if let Some((tenant, release)) = names::as_release(stream) {
        return of_product(tenant, release.product());
    }
    let name = stream.as_str();
    let rest = ["product-", "environment-", "looks-"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let mut parts = rest.unwrap_or_default().split('.');
    matches!((parts.next(), parts.next()), (Some(tenant), Some(product)) if of_product(tenant, product))
}

fn unknown() -> Problem {
    Problem::new(Code::NotFound, "no event has this position or id")
}
