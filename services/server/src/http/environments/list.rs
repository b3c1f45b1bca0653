//! `GET /v1/environments`

use actix_web::web::Data;
use release::environment::{Lease, Running};
use release::event::EnvironmentPurpose;
use release::value::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, FromQuery, NoBody};
use crate::http::lists::{self, Asked};
use crate::http::problem::Problem;
use crate::names;
use crate::views::{self, View};

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListEnvironments {
    #[param(inline)]
    pub product: Option<Name>,
    /// How many environments at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for ListEnvironments {}

#[derive(Serialize, ToSchema)]
pub struct EnvironmentList {
    /// By product and name.
    #[schema(max_items = 200)]
    pub environments: Vec<EnvironmentRow>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// An environment, who holds it and what runs there.
#[derive(Serialize, ToSchema)]
pub struct EnvironmentRow {
    pub product: Name,
    pub environment: Name,
    /// Absent when the product's newest settings do not name it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<EnvironmentPurpose>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<Running>,
}

/// List environments
///
/// The environments of the products the caller reads, with who holds each and what runs there.
#[utoipa::path(
    get,
    path = "/v1/environments",
    operation_id = "listEnvironments",
    tag = "Environments",
    params(ListEnvironments),
    responses((status = 200, description = "A page of environments", body = EnvironmentList, example = json!({
        "environments": [{"product": "checkout", "environment": "production", "purpose": "production"}]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, ListEnvironments>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<(), NoBody, ListEnvironments>) -> Answer {
    let asked = &call.query;
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::Catalog, asked.product.as_ref(), asked.limit).await?;
    let after = lists::place(asked.cursor.as_deref(), |key| {
        let (product, environment) = key.split_once('/')?;
        Some((Name::new(product).ok()?, Name::new(environment).ok()?))
    })?;
    let product = asked.product.clone();
    let mut found = lists::query(app, move |db| {
        let after = after.as_ref().map(|(product, environment)| (product.as_str(), environment.as_str()));
        views::environments(db, &scope, product.as_ref().map(Name::as_str), after, limit + 1)
    })
    .await?;
    let next_cursor = lists::next(&mut found, limit, |(product, name)| format!("{product}/{name}"));
    let mut environments = Vec::with_capacity(found.len());
    for (product, name) in &found {
        environments.push(row(app, call.caller.tenant(), product, name).await?);
    }
    let page = EnvironmentList { environments, next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}

async fn row(app: &App, tenant: &str, product: &str, name: &str) -> Result<EnvironmentRow, Problem> {
    let internal = |error: &dyn std::fmt::Display| Problem::internal(error);
    let product = Name::new(product).map_err(|error| internal(&error))?;
    let environment = Name::new(name).map_err(|error| internal(&error))?;
    let stream = names::product(tenant, &product).map_err(|error| internal(&error))?;
    let settings = app.products.load(&stream).await?.committed();
    let current = settings.state.current().and_then(|current| current.settings.environment(&environment));
    let purpose = current.map(|environment| environment.purpose);
    let stream = names::environment(tenant, &product, &environment).map_err(|error| internal(&error))?;
    let state = app.environments.load(&stream).await?.committed();
    let (lease, running) = (state.state.lease.clone(), state.state.running.clone());
    Ok(EnvironmentRow { product, environment, purpose, lease, running })
}
