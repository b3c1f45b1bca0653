//! `POST /v1/releases/{release}/leases/{lease}/release`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ReleaseLease;
use release::release::RollbackLease;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};
use crate::http::releases::record;

/// Release a lease
///
/// The previous version may go; refused before its time. Role: `operator`, `release_manager` or `machine`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/leases/{lease}/release",
    operation_id = "releaseLease",
    tag = "Deployments",
    request_body(content = Option<ReleaseLease>, example = json!({"note": "blue environment torn down"})),
    responses((status = 200, description = "The lease after it", body = RollbackLease)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, Uuid), OptionalJson<ReleaseLease>, DryRun>,
) -> Answer {
    let (id, lease) = call.path;
    let command = Command::ReleaseLease { lease, body: call.body.0 };
    record(&app, &call.caller, "releaseLease", &id, command, StatusCode::OK, |state, _, _| {
        view(&id, state, Some(lease))
    })
    .await
}
