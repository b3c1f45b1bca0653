//! `POST /v1/procedures/{name}/retire`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::procedures::{ProcedureCommand, RetireProcedure};
use release::value::Name;

use super::{ProcedureVersion, record};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};

/// Retire a procedure
///
/// No new release may use it; those that pinned a version go on. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/procedures/{name}/retire",
    operation_id = "retireProcedure",
    tag = "Procedures",
    request_body(content = RetireProcedure, example = json!({"reason": "replaced by product-release"})),
    responses((status = 200, description = "Its newest version", body = ProcedureVersion<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, Json<RetireProcedure>, DryRun>) -> Answer {
    let name = call.path;
    let command = ProcedureCommand::Retire { name: name.clone(), body: call.body.0 };
    record(&app, &call.caller, "retireProcedure", &name, command, StatusCode::OK, None).await
}
