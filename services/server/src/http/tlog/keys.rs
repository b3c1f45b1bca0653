//! `GET /tlog/keys`

use actix_web::http::header;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};

use super::{admit, tree};
use crate::app::App;
use crate::http::answer::Answer;

/// Read the log's public keys
///
/// One verifier key of C2SP signed notes a line: the first signs checkpoints, the second checkpoints with their
/// time. A verifier takes them from its own policy, never from here alone.
#[utoipa::path(
    get,
    path = "/tlog/keys",
    operation_id = "getLogKeys",
    tag = "Log",
    responses((status = 200, description = "The keys", body = String, content_type = "text/plain",
        example = "shiplog.example/log+aec90c73+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c\n")),
)]
pub async fn handler(app: Data<App>, request: HttpRequest) -> Answer {
    admit(&app, &request).await?;
    let tree = tree(&app).map_err(|problem| problem.at(&request))?;
    let keys: String = tree.keys().iter().map(|key| format!("{key}\n")).collect();
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(keys))
}
