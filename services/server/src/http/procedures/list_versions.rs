//! `GET /v1/procedures/{name}/versions`

use actix_web::web::Data;
use release::procedures::ProcedureRetirement;
use release::value::Name;
use serde::Serialize;
use utoipa::ToSchema;

use super::{ProcedureVersion, read, versions};
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};

#[derive(Serialize, ToSchema)]
pub struct ProcedureVersionList<'a> {
    /// Oldest first.
    #[schema(max_items = 400)]
    pub versions: Vec<ProcedureVersion<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<&'a ProcedureRetirement>,
}

/// List versions of a procedure
///
/// Built in, proposed and active ones, whole.
#[utoipa::path(
    get,
    path = "/v1/procedures/{name}/versions",
    operation_id = "listProcedureVersions",
    tag = "Procedures",
    responses((status = 200, description = "The versions", body = ProcedureVersionList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, NoBody>) -> Answer {
    let (caller, name) = (&call.caller, &call.path);
    let registry = read(&app, caller, name).await?;
    let list = ProcedureVersionList {
        versions: versions(&app, name, &registry.state)?,
        retired: registry.state.retired.as_ref(),
    };
    committed(&registry, &list, caller.if_none_match.as_deref())
}
