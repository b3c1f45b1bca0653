//! `GET /tlog/keys`

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{admit, tree};
use crate::app::App;
use crate::http::answer::Answer;

/// Read the log's public keys
///
/// A verifier key of C2SP signed notes a line, with the sizes whose checkpoints it signs, in the form of an auditor's
/// policy: each begins behind the one before. The same key signs the time (cosignature/v1). A verifier takes them
/// from its own policy, never from here alone.
#[utoipa::path(
    get,
    path = "/tlog/keys",
    operation_id = "getLogKeys",
    tag = "Log",
    responses((status = 200, description = "The keys", body = String, content_type = "text/plain",
        example = "log shiplog.example/log+aec90c73+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n")),
)]
pub async fn handler(app: Data<App>, request: HttpRequest) -> Answer {
    admit(&app, &request).await?;
    let tree = tree(&app).map_err(|problem| problem.at(&request))?;
    let keys = tree.keys().borrow().to_string();
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(keys))
}
