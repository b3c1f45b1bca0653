//! `GET /v1/products/{product}/versions`

use actix_web::web::Data;
use release::product::SettingsVersion;
use release::value::Name;
use serde::Serialize;
use utoipa::ToSchema;

use super::read;
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};

#[derive(Serialize, ToSchema)]
pub struct SettingsVersionList<'a> {
    /// Oldest first.
    #[schema(max_items = 500)]
    pub versions: &'a [SettingsVersion],
}

/// List versions of product settings
///
/// Every version ever published; they never change.
#[utoipa::path(
    get,
    path = "/v1/products/{product}/versions",
    operation_id = "listProductVersions",
    tag = "Products",
    responses((status = 200, description = "The versions", body = SettingsVersionList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, NoBody>) -> Answer {
    let product = read(&app, &call.caller, &call.path).await?;
    let list = SettingsVersionList { versions: &product.state.versions };
    committed(&product, &list, call.caller.if_none_match.as_deref())
}
