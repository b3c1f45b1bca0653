//! `POST /v1/releases/{release}/leases/{lease}/extend`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ExtendLease;
use release::release::RollbackLease;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Extend a lease
///
/// Keeps the previous version longer. Role: `release_manager` or `operator`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/leases/{lease}/extend",
    operation_id = "extendLease",
    tag = "Deployments",
    request_body(content = ExtendLease, example = json!({"not_before_release": "2026-11-25T12:00:00Z", "reason": "weekend"})),
    responses((status = 200, description = "The lease after it", body = RollbackLease)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<ExtendLease>, DryRun>) -> Answer {
    let (id, lease) = call.path;
    let command = Command::ExtendLease { lease, body: call.body.0 };
    record(&app, &call.caller, "extendLease", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(lease))
    })
    .await
}
