//! `GET /openapi.json`

use actix_web::HttpResponse;
use actix_web::http::header;

use crate::http::answer::Answer;
use crate::http::openapi::document_bytes;

/// Read the API description
///
/// The OpenAPI 3.1 document of this service.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "getOpenApi",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "The OpenAPI document", body = Object)),
)]
pub async fn handler() -> Answer {
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/json"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(document_bytes()))
}
