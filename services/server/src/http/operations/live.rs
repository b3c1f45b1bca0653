//! `GET /health/live`

use actix_web::HttpResponse;

use super::ready::Health;
use crate::http::answer::Answer;

/// Is the process alive
///
/// Answers as long as the process can answer at all.
#[utoipa::path(
    get,
    path = "/health/live",
    operation_id = "getLiveness",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "Alive", body = Health)),
)]
pub async fn handler() -> Answer {
    Ok(HttpResponse::Ok().json(Health {
        status: "pass",
        position: None,
        format: None,
        views: None,
        checkpoint: None,
    }))
}
