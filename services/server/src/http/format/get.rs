//! `GET /v1/format`

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;

use super::FormatView;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::events::must_audit;
use crate::names;

/// Read the log's format
///
/// What the log may hold, and what the node that answers knows. Each node knows of itself alone: ask every one of them
/// before a format is enabled, here, at `/health/ready` (without a token) or by the metric `shiplog_known_format`. For
/// auditors of the installation.
#[utoipa::path(
    get,
    path = "/v1/format",
    operation_id = "getFormat",
    tag = "Log",
    responses((status = 200, description = "The format", body = FormatView, example = json!({
        "enabled": 1, "newest": 2
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody>) -> Answer {
    let caller = &call.caller;
    must_audit(caller).map_err(|problem| problem.on(caller))?;
    let installation = read_known_to_all(&app.installation, names::installation(), caller).await?;
    let format = FormatView::enabled(&app, installation.state.format());
    // Not under the stream's ETag: what this node knows is in no event.
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(format))
}
