//! `GET /v1/releases/{release}/gates/{step}`

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use release::checklist::{Gate, gate, gate_now};
use release::value::ReleaseId;

use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::problem::{Code, Problem};
use crate::http::releases::{AsOf, Snapshot, read, unknown};
use crate::surroundings;

/// Read a gate
///
/// The rows of the gate after a step: each of its items, closed on the current candidate or why not. The gates that
/// lead to the approval show its `basis` in `approve`, the gate of the decision also the one of `authorize`, with
/// the rows behind each; send it with the decision, and it is refused should anything have changed. Both also read
/// the calendar, the environments and the clock, so they are shown of the present only and the answer has no ETag.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/gates/{step}",
    operation_id = "getGate",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "The gate", body = Gate)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, u32), NoBody, AsOf>) -> Answer {
    let (id, step) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let caller = &call.caller;
    let missing = || {
        let procedure = &snapshot.procedure;
        let detail = format!("{} version {} has no step {step}", procedure.name, procedure.version);
        Problem::new(Code::NotFound, detail)
    };
    let AsOf { as_of, at_position, at_revision, as_at, .. } = &call.query;
    if as_of.is_some() || at_position.is_some() || at_revision.is_some() || as_at.is_some() {
        let past = gate(&snapshot.release.state, &snapshot.procedure, *step);
        let past = past.ok_or_else(|| missing().on(caller))?;
        return Ok(snapshot.answer(caller, json(&past)?));
    }
    let now = now(&app, caller.tenant(), id, &snapshot, *step).await.map_err(|problem| problem.on(caller))?;
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if let Some(position) = snapshot.position {
        response.insert_header(("Shiplog-Position", position.to_string()));
    }
    Ok(response.body(json(&now.ok_or_else(|| missing().on(caller))?)?))
}

async fn now(
    app: &App,
    tenant: &str,
    id: &ReleaseId,
    snapshot: &Snapshot,
    step: u32,
) -> Result<Option<Gate>, Problem> {
    let release = &snapshot.release.state;
    let opened = release.opened.as_ref().ok_or_else(|| unknown(id))?;
    let mut around = surroundings::whole(app, tenant, opened).await?;
    // An authorization reserves what nobody holds before it is decided.
    around.snapshots.reserve_for(id, false);
    Ok(gate_now(release, &around, app.clock.now(), step))
}
