//! `GET /v1/releases/{release}/roll-call`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::{RollCall, of};
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read the roll-call
///
/// The answers that count now.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/roll-call",
    operation_id = "getRollCall",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "The roll-call", body = RollCall<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let body = json(&of(&snapshot.release.state))?;
    Ok(snapshot.answer(&call.caller, body))
}
