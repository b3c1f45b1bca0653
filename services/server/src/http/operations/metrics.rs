//! `GET /metrics`

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse};

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::problem::Problem;
use crate::metrics::Access;

/// Read the metrics
///
/// Counters, gauges and histograms in the OpenMetrics text format, for Prometheus and whatever reads the same.
/// By configuration (`metrics`) they are for everybody, for callers with any role, or not there.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text")),
)]
pub async fn handler(app: Data<App>, request: HttpRequest) -> Answer {
    if app.config.metrics == Access::Token {
        let call = Call::<(), NoBody>::extract(&request).await?;
        call.caller.has_any_role().map_err(|problem| problem.on(&call.caller))?;
    }
    let text = app.metrics.text(&app).map_err(|error| Problem::internal(&error).at(&request))?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(text))
}
