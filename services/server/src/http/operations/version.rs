//! `GET /version`

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::Answer;

#[derive(Serialize, ToSchema)]
pub struct VersionView {
    #[schema(max_length = 32)]
    pub name: &'static str,
    #[schema(max_length = 64)]
    pub version: &'static str,
    /// The domain's time is simulated: nothing recorded here is real.
    pub simulated_clock: bool,
}

/// Read the version
///
/// Name and version of the running service.
#[utoipa::path(
    get,
    path = "/version",
    operation_id = "getVersion",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "The version", body = VersionView)),
)]
pub async fn handler(app: Data<App>) -> Answer {
    Ok(HttpResponse::Ok().json(VersionView {
        name: "shiplog",
        version: env!("CARGO_PKG_VERSION"),
        simulated_clock: app.clock.is_simulated(),
    }))
}
