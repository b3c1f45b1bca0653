//! `POST /v1/releases/{release}/leases/{lease}/probes`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::command::ProbeLease;
use release::release::RollbackLease;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Report a probe of the previous version
///
/// Whether the previous version is still available. Role: `machine` or `operator`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/leases/{lease}/probes",
    operation_id = "probeLease",
    tag = "Deployments",
    request_body(content = ProbeLease, example = json!({"healthy": true})),
    responses((status = 201, description = "The lease after it", body = RollbackLease)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), Json<ProbeLease>, DryRun>) -> Answer {
    let (id, lease) = call.path;
    let command = Command::ProbeLease { lease, body: call.body.0 };
    record(&app, &call.caller, "probeLease", &id, command, StatusCode::CREATED, |state, _, _| {
        view(&id, state, Some(lease))
    })
    .await
}
