//! `GET /v1/control-mappings/{name}/versions`

use actix_web::web::Data;
use jiff::Timestamp;
use release::report::controls::ControlMappingRef;
use release::value::{ActorId, Name};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ControlMappingVersion, known, read};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{Page, page_of};

#[derive(Serialize, ToSchema)]
pub struct ControlMappingVersionList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub versions: Vec<ListedVersion<'a>>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// Which version it is; controls are read one version at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedControlMappingVersion)]
pub struct ListedVersion<'a> {
    pub reference: ControlMappingRef,
    /// It came with the program.
    pub built_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_by: Option<&'a ActorId>,
}

impl<'a> From<ControlMappingVersion<'a>> for ListedVersion<'a> {
    fn from(version: ControlMappingVersion<'a>) -> Self {
        Self {
            reference: version.reference,
            built_in: version.built_in,
            published_at: version.published_at,
            published_by: version.published_by,
        }
    }
}

/// List the versions of a control mapping
///
/// Built-in and published ones. Controls are in each version itself.
#[utoipa::path(
    get,
    path = "/v1/control-mappings/{name}/versions",
    operation_id = "listControlMappingVersions",
    tag = "Control mappings",
    params(Page),
    responses((status = 200, description = "A page of versions", body = ControlMappingVersionList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, NoBody, Page>) -> Answer {
    let (caller, name) = (&call.caller, &call.path);
    let registry = read(&app, caller).await?;
    let all = known(name, &registry.state).map_err(|problem| problem.on(caller))?;
    let (versions, next_cursor) = call.query.turn(caller, all.into_iter().map(ListedVersion::from))?;
    let page = ControlMappingVersionList { versions, next_cursor };
    page_of(&registry, caller, &call.query, &page, page.next_cursor.as_deref())
}
