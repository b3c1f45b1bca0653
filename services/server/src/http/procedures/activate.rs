//! `POST /v1/procedures/{name}/versions/{number}/activate`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::procedures::{ActivateProcedure, ProcedureCommand};
use release::value::Name;

use super::{ProcedureVersion, record};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, OptionalJson};

/// Activate a procedure version
///
/// New releases may use it from now on; what it changes against the version in force is recorded with it.
/// Role: `approver`, not who published it.
#[utoipa::path(
    post,
    path = "/v1/procedures/{name}/versions/{number}/activate",
    operation_id = "activateProcedure",
    tag = "Procedures",
    request_body(content = Option<ActivateProcedure>, example = json!({"note": "reviewed with the platform team"})),
    responses((status = 200, description = "The version, active", body = ProcedureVersion<'static>)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(Name, u32), OptionalJson<ActivateProcedure>, DryRun>,
) -> Answer {
    let (name, version) = call.path;
    let command = ProcedureCommand::Activate { version, body: call.body.0 };
    let status = StatusCode::OK;
    record(&app, &call.caller, "activateProcedure", &name, command, status, Some(version)).await
}
