//! `POST /v1/products/{product}/versions`

use actix_web::web::Data;
use release::product::{ProductCommand, PublishSettings, SettingsVersion};
use release::value::Name;

use super::record;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};

/// Publish product settings
///
/// The next immutable version of the settings, whole. Releases opened before keep theirs. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/products/{product}/versions",
    operation_id = "publishProductSettings",
    tag = "Products",
    request_body(content = PublishSettings, example = json!({
        "settings": {"targets": ["eu", "us"], "critical_flows": ["log in", "pay"]},
        "why": "second region"
    })),
    responses((status = 201, description = "The settings", body = SettingsVersion)),
)]
pub async fn handler(app: Data<App>, call: Call<Name, Json<PublishSettings>, DryRun>) -> Answer {
    let command = ProductCommand::PublishSettings(Box::new(call.body.0));
    record(&app, &call.caller, "publishProductSettings", &call.path, command).await
}
