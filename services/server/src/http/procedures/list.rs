//! `GET /v1/procedures`

use std::collections::BTreeSet;

use actix_web::web::Data;
use release::value::Name;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{self, Page};
use crate::http::problem::Problem;
use crate::names;
use crate::views::{self, View};

#[derive(Serialize, ToSchema)]
pub struct ProcedureList {
    /// By name.
    #[schema(max_items = 200)]
    pub procedures: Vec<ProcedureRow>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct ProcedureRow {
    pub name: Name,
    /// It came with the program.
    pub built_in: bool,
    /// The version that a new release pins when it asks for none; absent when there is none to pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// No new release starts from it.
    pub retired: bool,
}

/// List procedures
///
/// Every name that is built in or was published under, in order.
#[utoipa::path(
    get,
    path = "/v1/procedures",
    operation_id = "listProcedures",
    tag = "Procedures",
    params(Page),
    responses((status = 200, description = "A page of procedures", body = ProcedureList, example = json!({
        "procedures": [{"name": "product-release", "built_in": true, "version": 2, "retired": false}]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Page>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<(), NoBody, Page>) -> Answer {
    let asked = &call.query;
    call.caller.has_any_role()?;
    let limit = lists::limit(asked.limit)?;
    let position = lists::ready(app, View::Catalog, call.caller.min_position).await?;
    let after = lists::place(asked.cursor.as_deref(), |key| Name::new(key).ok())?;
    let after = after.map_or_else(String::new, |after| after.to_string());
    let built_in = app.catalogue.names().map(ToString::to_string).filter(|name| *name > after);
    let mut found: BTreeSet<_> = built_in.collect();
    let tenant = call.caller.tenant().to_owned();
    found.extend(lists::query(app, move |db| views::procedures(db, &tenant, &after, limit + 1)).await?);
    let mut found: Vec<_> = found.into_iter().take(limit + 1).collect();
    let next_cursor = lists::next(&mut found, limit, String::clone);
    let mut procedures = Vec::with_capacity(found.len());
    for name in found {
        procedures.push(row(app, call.caller.tenant(), &name).await?);
    }
    let page = ProcedureList { procedures, next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}

async fn row(app: &App, tenant: &str, name: &str) -> Result<ProcedureRow, Problem> {
    let name = Name::new(name).map_err(|error| Problem::internal(&error))?;
    let stream = names::procedure(tenant, &name).map_err(|error| Problem::internal(&error))?;
    let registry = app.procedures.load(&stream).await?.committed();
    let built_in = app.catalogue.built_in(&name).next().is_some();
    let version = registry.state.pin(&name, None).ok().map(|reference| reference.version);
    Ok(ProcedureRow { name, built_in, version, retired: registry.state.retired.is_some() })
}
