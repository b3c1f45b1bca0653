//! `GET /v1/reports/{report}/envelope`

use actix_web::web::Data;
use uuid::Uuid;

use super::{ReportEnvelope, generated, read};
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};

/// Read the envelope of a report
///
/// What was asked, at which position, the root of the log there and the SHA-256 of the report's bytes; who made it
/// when and with which version, and the signed checkpoint of that time. None of it is in those bytes.
#[utoipa::path(
    get,
    path = "/v1/reports/{report}/envelope",
    operation_id = "getReportEnvelope",
    tag = "Reports",
    responses((status = 200, description = "The envelope", body = ReportEnvelope)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, NoBody>) -> Answer {
    let read = async {
        let known = read(&app, &call.caller, call.path).await?;
        let envelope = ReportEnvelope::of(&app, generated(&known.state)?);
        committed(&known, &envelope, call.caller.if_none_match.as_deref())
    };
    read.await.map_err(|problem| problem.on(&call.caller))
}
