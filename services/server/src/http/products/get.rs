//! `GET /v1/products/{product}`

use actix_web::web::Data;
use release::product::Product;
use release::value::Name;

use super::read;
use crate::app::App;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};

/// Read a product
///
/// All versions of its settings, oldest first, and the digests that were rejected.
#[utoipa::path(
    get,
    path = "/v1/products/{product}",
    operation_id = "getProduct",
    tag = "Products",
    responses((status = 200, description = "The product", body = Product)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, NoBody>) -> Answer {
    let product = read(&app, &call.caller, &call.path).await?;
    committed(&product, &product.state, call.caller.if_none_match.as_deref())
}
