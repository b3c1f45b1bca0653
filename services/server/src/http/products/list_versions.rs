//! `GET /v1/products/{product}/versions`

use actix_web::web::Data;
use release::product::SettingsVersion;
use release::value::Name;
use serde::Serialize;
use utoipa::ToSchema;

use super::read;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{Page, page_of};

#[derive(Serialize, ToSchema)]
pub struct SettingsVersionList<'a> {
    /// Oldest first.
    #[schema(max_items = 200)]
    pub versions: Vec<&'a SettingsVersion>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List versions of product settings
///
/// Every version ever published; they never change.
#[utoipa::path(
    get,
    path = "/v1/products/{product}/versions",
    operation_id = "listProductVersions",
    tag = "Products",
    params(Page),
    responses((status = 200, description = "A page of versions", body = SettingsVersionList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, NoBody, Page>) -> Answer {
    let product = read(&app, &call.caller, &call.path).await?;
    let (versions, next_cursor) = call.query.turn(&call.caller, &product.state.versions)?;
    let page = SettingsVersionList { versions, next_cursor };
    page_of(&product, &call.caller, &call.query, &page, page.next_cursor.as_deref())
}
