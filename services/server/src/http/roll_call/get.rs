//! `GET /v1/releases/{release}/roll-call/{entry}`

use actix_web::web::Data;
use release::release::RollCallEntry;
use release::value::ReleaseId;
use uuid::Uuid;

use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::problem::{Code, Problem};
use crate::http::releases::{AsOf, read};

/// Read an answer to the roll-call
///
/// One answer by its id, also when a new candidate or window has asked again. The next answer of the same person
/// in the same role takes its place; as of an earlier time it is still found.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/roll-call/{entry}",
    operation_id = "getRollCallEntry",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "The answer", body = RollCallEntry)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, entry) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = snapshot.release.state.roll_call.iter().find(|known| known.entry == *entry);
    let found = found
        .ok_or_else(|| Problem::new(Code::NotFound, "the roll-call has no such answer").on(&call.caller))?;
    let body = json(found)?;
    Ok(snapshot.answer(&call.caller, body))
}
