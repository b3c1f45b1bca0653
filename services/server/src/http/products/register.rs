//! `POST /v1/products`

use actix_web::web::Data;
use release::product::{ProductCommand, RegisterProduct, SettingsVersion};

use super::record;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::quotas::Quota;

/// Register a product
///
/// A name is enough: environments `staging` and `production`, one target and the built-in procedure are the
/// defaults. Settings are version 1; later ones are published beside it. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/products",
    operation_id = "registerProduct",
    tag = "Products",
    request_body(content = RegisterProduct, example = json!({"name": "checkout"})),
    responses((status = 201, description = "The settings", body = SettingsVersion)),
)]
pub async fn handler(app: Data<App>, mut call: Call<(), Json<RegisterProduct>, DryRun>) -> Answer {
    call.caller.require_idempotency_key().map_err(|problem| problem.on(&call.caller))?;
    let turn = call.caller.one_more(&app, Quota::Products).await;
    let _turn = turn.map_err(|problem| problem.on(&call.caller))?;
    let name = call.body.0.name.clone();
    let command = ProductCommand::Register(Box::new(call.body.0));
    record(&app, &call.caller, "registerProduct", &name, command).await
}
