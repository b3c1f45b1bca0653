//! `GET /v1/products`

use actix_web::web::Data;
use jiff::Timestamp;
use release::value::Name;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{self, Asked, Page};
use crate::http::problem::Problem;
use crate::names;
use crate::views::{self, View};

#[derive(Serialize, ToSchema)]
pub struct ProductList {
    /// By name.
    #[schema(max_items = 200)]
    pub products: Vec<ProductRow>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// A product and the newest version of its settings.
#[derive(Serialize, ToSchema)]
pub struct ProductRow {
    #[schema(max_length = 63)]
    pub product: String,
    pub settings_version: u32,
    pub settings_published_at: Timestamp,
    /// The procedure of a release that asks for no other.
    #[schema(max_length = 63)]
    pub procedure: String,
    #[schema(max_items = 20)]
    pub targets: Vec<Name>,
    #[schema(max_items = 20)]
    pub environments: Vec<Name>,
}

/// List products
///
/// The products the caller reads, by name.
#[utoipa::path(
    get,
    path = "/v1/products",
    operation_id = "listProducts",
    tag = "Products",
    params(Page),
    responses((status = 200, description = "A page of products", body = ProductList, example = json!({
        "products": [{
            "product": "checkout", "settings_version": 3, "settings_published_at": "2026-11-22T09:00:00Z",
            "procedure": "product-release", "targets": ["default"], "environments": ["staging", "production"]
        }]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Page>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<(), NoBody, Page>) -> Answer {
    let asked = &call.query;
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::Catalog, None, asked.limit).await?;
    let after = lists::place(asked.cursor.as_deref(), |key| Name::new(key).ok())?;
    let after = after.map_or_else(String::new, |after| after.to_string());
    let mut names = lists::query(app, move |db| views::products(db, &scope, &after, limit + 1)).await?;
    let next_cursor = lists::next(&mut names, limit, String::clone);
    let mut products = Vec::with_capacity(names.len());
    for name in names {
        products.extend(row(app, call.caller.tenant(), &name).await?);
    }
    let page = ProductList { products, next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}

async fn row(app: &App, tenant: &str, name: &str) -> Result<Option<ProductRow>, Problem> {
    let name = Name::new(name).map_err(|error| Problem::internal(&error))?;
    let stream = names::product(tenant, &name).map_err(|error| Problem::internal(&error))?;
    let product = app.products.load(&stream).await?.committed();
    Ok(product.state.current().map(|current| ProductRow {
        product: name.to_string(),
        settings_version: current.version,
        settings_published_at: current.published_at,
        procedure: current.settings.procedure.name.to_string(),
        targets: current.settings.targets.to_vec(),
        environments: current.settings.environments.iter().map(|e| e.name.clone()).collect(),
    }))
}
