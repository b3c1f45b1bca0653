//! `POST /v1/releases/{release}/leases/{lease}/break`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::BreakLease;
use release::release::RollbackLease;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report a broken lease
///
/// The previous version was lost before its time; recorded for ever. Role: `operator`, `on_call`,
/// `release_manager` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/leases/{lease}/break",
    operation_id = "breakLease",
    tag = "Deployments",
    request_body(content = BreakLease, example = json!({"reason": "scaled to zero by mistake"})),
    responses((status = 200, description = "The lease after it", body = RollbackLease)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<BreakLease>, DryRun>) -> Answer {
    let (id, lease) = call.path;
    let command = Command::BreakLease { lease, body: call.body.0 };
    record(&app, &call.caller, "breakLease", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(lease))
    })
    .await
}
