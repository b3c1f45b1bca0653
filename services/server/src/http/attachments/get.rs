//! `GET /v1/releases/{release}/attachments/{sha256}`

use actix_web::web::Data;
use release::release::Attachment;
use release::value::{ReleaseId, Sha256Hex};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read an attachment
///
/// What it is, who attached it when, and whether the vault still has its content; that is read at `/content` below it.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/attachments/{sha256}",
    operation_id = "getAttachment",
    tag = "Attachments",
    params(AsOf),
    responses((status = 200, description = "The attachment", body = Attachment)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Sha256Hex), NoBody, AsOf>) -> Answer {
    let (id, sha256) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, sha256);
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}
