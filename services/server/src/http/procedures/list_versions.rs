//! `GET /v1/procedures/{name}/versions`

use actix_web::web::Data;
use jiff::Timestamp;
use release::procedure::ProcedureRef;
use release::procedures::ProcedureRetirement;
use release::value::{ActorId, Name};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ProcedureVersion, VersionState, read, versions};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{Page, page_of};

#[derive(Serialize, ToSchema)]
pub struct ProcedureVersionList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub versions: Vec<ListedVersion<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<&'a ProcedureRetirement>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// Which version it is; steps and items are read one version at a time.
#[derive(Serialize, ToSchema)]
#[schema(as = ListedProcedureVersion)]
pub struct ListedVersion<'a> {
    pub reference: ProcedureRef,
    pub state: VersionState,
    /// It came with the program.
    pub built_in: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_by: Option<&'a ActorId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub activated_by: Option<&'a ActorId>,
}

impl<'a> ListedVersion<'a> {
    fn of(version: ProcedureVersion<'a>) -> Self {
        let published = version.published;
        let activated = published.and_then(|published| published.activated.as_ref());
        Self {
            reference: version.reference,
            state: version.state,
            built_in: version.built_in,
            published_at: published.map(|published| published.published_at),
            published_by: published.map(|published| &published.published_by),
            activated_at: activated.map(|activated| activated.at),
            activated_by: activated.map(|activated| &activated.by),
        }
    }
}

/// List versions of a procedure
///
/// Built in, proposed and active ones. Steps, items and rules are in each version itself.
#[utoipa::path(
    get,
    path = "/v1/procedures/{name}/versions",
    operation_id = "listProcedureVersions",
    tag = "Procedures",
    params(Page),
    responses((status = 200, description = "A page of versions", body = ProcedureVersionList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, NoBody, Page>) -> Answer {
    let (caller, name) = (&call.caller, &call.path);
    let registry = read(&app, caller, name).await?;
    let all = versions(&app, name, &registry.state)?.into_iter().map(ListedVersion::of);
    let (versions, next_cursor) = call.query.turn(caller, all)?;
    let page = ProcedureVersionList { versions, retired: registry.state.retired.as_ref(), next_cursor };
    page_of(&registry, caller, &call.query, &page, page.next_cursor.as_deref())
}
