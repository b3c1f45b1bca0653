//! `GET /v1/products/{product}/versions/{number}`

use actix_web::web::Data;
use release::product::SettingsVersion;
use release::value::Name;

use super::{read, version};
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};

/// Read one version of product settings
///
/// The settings a release pins by this number and hash.
#[utoipa::path(
    get,
    path = "/v1/products/{product}/versions/{number}",
    operation_id = "getProductVersion",
    tag = "Products",
    responses((status = 200, description = "The settings", body = SettingsVersion)),
)]
pub async fn handler(app: Data<App>, call: Call<(Name, u32), NoBody>) -> Answer {
    let (name, number) = &call.path;
    let product = read(&app, &call.caller, name).await?;
    let version = version(&product.state, name, *number).map_err(|problem| problem.on(&call.caller))?;
    committed(&product, &version, call.caller.if_none_match.as_deref())
}
