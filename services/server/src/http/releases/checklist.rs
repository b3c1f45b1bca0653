//! `GET /v1/releases/{release}/checklist`

use actix_web::web::Data;
use release::checklist::{Checklist, checklist};
use release::value::ReleaseId;

use super::unknown;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read the checklist
///
/// Every step and item of the release's procedure with its state, for people and dashboards.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/checklist",
    operation_id = "getChecklist",
    tag = "Releases",
    params(AsOf),
    responses((status = 200, description = "The checklist", body = Checklist)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let release = &snapshot.release;
    let body = match release.answers.checklist.get() {
        Some(bytes) => bytes.clone(),
        None => {
            let view = checklist(&release.state, &snapshot.procedure).ok_or_else(|| unknown(&call.path))?;
            let made = json(&view)?;
            release.answers.checklist.get_or_init(|| made).clone()
        }
    };
    Ok(snapshot.answer(&call.caller, body))
}
