//! `GET /v1/control-mappings`

use std::collections::BTreeSet;
use std::ops::Bound;

use actix_web::web::Data;
use release::control_mappings::ControlMappings;
use release::report::controls::ControlMappingRef;
use release::value::Name;
use serde::Serialize;
use utoipa::ToSchema;

use super::{read, versions};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{self, Page, page_of};
use crate::http::problem::Problem;

#[derive(Serialize, ToSchema)]
pub struct ControlMappingList {
    /// By name.
    #[schema(max_items = 200)]
    pub control_mappings: Vec<ControlMappingRow>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ControlMappingRow {
    /// Its newest version, which a report uses that asks for none.
    pub newest: ControlMappingRef,
    /// It came with the program.
    pub built_in: bool,
}

/// List control mappings
///
/// Every name that is built in or was published under, in order, with its newest version.
#[utoipa::path(
    get,
    path = "/v1/control-mappings",
    operation_id = "listControlMappings",
    tag = "Control mappings",
    params(Page),
    responses((status = 200, description = "A page of control mappings", body = ControlMappingList)),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Page>) -> Answer {
    let registry = read(&app, &call.caller).await?;
    let (control_mappings, next_cursor) =
        page(&registry.state, &call.query).map_err(|problem| problem.on(&call.caller))?;
    let page = ControlMappingList { control_mappings, next_cursor };
    page_of(&registry, &call.caller, &call.query, &page, page.next_cursor.as_deref())
}

/// A name may be published between two that are there, so a place is the name that a page ended with.
fn page(state: &ControlMappings, query: &Page) -> Result<(Vec<ControlMappingRow>, Option<String>), Problem> {
    let limit = lists::limit(query.limit)?;
    let from = lists::place(query.cursor.as_deref(), |key| Name::new(key).ok())?;
    let mut names: BTreeSet<Name> = state.versions.keys().cloned().collect();
    names.insert(Name::common_frameworks());
    let start = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let mut rows = Vec::new();
    for name in names.range::<Name, _>((start, Bound::Unbounded)).take(limit + 1) {
        if let Some(newest) = versions(name, state)?.pop() {
            rows.push(ControlMappingRow { newest: newest.reference, built_in: newest.built_in });
        }
    }
    let next_cursor = lists::next(&mut rows, limit, |last| last.newest.name.clone());
    Ok((rows, next_cursor))
}
