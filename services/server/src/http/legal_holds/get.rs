//! `GET /v1/legal-holds/{hold}`

use actix_web::web::Data;
use release::retention::LegalHold;
use uuid::Uuid;

use super::{known, may_see};
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::names;

/// Read a legal hold
///
/// What it keeps, who placed it and why, and who lifted it. Role: `admin` or `auditor`.
#[utoipa::path(
    get,
    path = "/v1/legal-holds/{hold}",
    operation_id = "getLegalHold",
    tag = "Retention",
    responses((status = 200, description = "The hold", body = LegalHold)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, NoBody>) -> Answer {
    let caller = &call.caller;
    may_see(caller).map_err(|problem| problem.on(caller))?;
    let retention = read_known_to_all(&app.retentions, names::retention(caller.tenant()), caller).await?;
    let hold = known(&retention.state, Some(call.path)).map_err(|problem| problem.on(caller))?;
    committed(&retention, hold, caller.if_none_match.as_deref())
}
