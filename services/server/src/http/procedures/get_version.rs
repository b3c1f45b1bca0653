//! `GET /v1/procedures/{name}/versions/{number}`

use actix_web::web::Data;
use release::value::Name;

use super::{ProcedureVersion, read, versions};
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::http::problem::Problem;
use crate::procedures;

/// Read one version of a procedure
///
/// Steps, items and rules as data. Built-in and published versions never change.
#[utoipa::path(
    get,
    path = "/v1/procedures/{name}/versions/{number}",
    operation_id = "getProcedureVersion",
    tag = "Procedures",
    responses((status = 200, description = "The version", body = ProcedureVersion<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(Name, u32), NoBody>) -> Answer {
    let (name, number) = &call.path;
    let caller = &call.caller;
    let registry = read(&app, caller, name).await?;
    let all = versions(&app, name, &registry.state)?;
    let version = all
        .iter()
        .find(|version| version.reference.version == *number)
        .ok_or_else(|| Problem::from(procedures::unknown(name)).on(caller))?;
    committed(&registry, version, caller.if_none_match.as_deref())
}
