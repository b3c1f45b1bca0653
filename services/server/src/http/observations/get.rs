//! `GET /v1/observations/{observation}`

use actix_web::HttpResponse;
use actix_web::web::Data;
use eventlog::StreamId;
use uuid::Uuid;

use super::{Observation, observation};
use crate::app::App;
use crate::http::accessed::shows;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, Caller, NoBody};
use crate::http::events::get::{EventRef, read};
use crate::http::problem::{Code, Problem};

/// Read an observation
///
/// What was seen, as it was recorded.
#[utoipa::path(
    get,
    path = "/v1/observations/{observation}",
    operation_id = "getObservation",
    tag = "Observations",
    responses((status = 200, description = "The observation", body = Observation)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, NoBody>) -> Answer {
    let caller = &call.caller;
    let (found, stream) = find(&app, caller, call.path).await.map_err(|problem| problem.on(caller))?;
    let answer = HttpResponse::Ok()
        .insert_header(("Content-Type", "application/json"))
        .insert_header(("Cache-Control", "private, immutable, max-age=31536000"))
        .insert_header(("Shiplog-Position", found.position.to_string()))
        .body(json(&found)?);
    Ok(shows(answer, &stream))
}

async fn find(app: &App, caller: &Caller, id: Uuid) -> Result<(Observation, StreamId), Problem> {
    let unknown = || Problem::new(Code::NotFound, format!("no observation {id}"));
    let event = match read(app, caller, EventRef::Id(id)).await {
        Err(problem) if problem.status == 404 => return Err(unknown()),
        event => event?,
    };
    Ok((observation(app, &event)?.ok_or_else(unknown)?, event.stream))
}
