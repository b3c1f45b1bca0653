//! `GET /health/live`, `GET /health/ready`

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::problem::{Code, Problem};

#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `pass`, as health endpoints commonly say.
    #[schema(max_length = 16, pattern = "^pass$")]
    pub status: &'static str,
    /// The position of the last durable event; absent while the log is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

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
pub async fn live() -> Answer {
    Ok(HttpResponse::Ok().json(Health { status: "pass", position: None }))
}

/// Can the process serve
///
/// The log can be read.
#[utoipa::path(
    get,
    path = "/health/ready",
    operation_id = "getReadiness",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "Ready", body = Health)),
)]
pub async fn ready(app: Data<App>) -> Answer {
    let head = app.store.head();
    let before = head.and_then(|head| head.0.checked_sub(1)).map(eventlog::Position);
    app.store
        .read_all(before, 1)
        .await
        .map_err(|error| Problem::new(Code::ShuttingDown, error.to_string()))?;
    Ok(HttpResponse::Ok().json(Health { status: "pass", position: head.map(|head| head.0) }))
}
