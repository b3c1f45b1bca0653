//! `GET /v1/control-mappings/{name}/versions/{number}`

use actix_web::web::Data;
use release::control_mappings::unknown;
use release::value::Name;

use super::{ControlMappingVersion, known, read};
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::http::problem::Problem;

/// Read one version of a control mapping
///
/// Frameworks, controls and what proves each, as data. Built-in and published versions never change.
#[utoipa::path(
    get,
    path = "/v1/control-mappings/{name}/versions/{number}",
    operation_id = "getControlMappingVersion",
    tag = "Control mappings",
    responses((status = 200, description = "The version", body = ControlMappingVersion<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(Name, u32), NoBody>) -> Answer {
    let (name, number) = &call.path;
    let caller = &call.caller;
    let registry = read(&app, caller).await?;
    let all = known(name, &registry.state).map_err(|problem| problem.on(caller))?;
    let version = all
        .iter()
        .find(|version| version.reference.version == *number)
        .ok_or_else(|| Problem::from(unknown(name)).on(caller))?;
    committed(&registry, version, caller.if_none_match.as_deref())
}
