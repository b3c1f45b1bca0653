//! `GET /v1/releases/{release}/attachments`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::AttachmentList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List attachments
///
/// What was attached to the release, those whose content was given up included, in the order in which it was stored.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/attachments",
    operation_id = "listAttachments",
    tag = "Attachments",
    params(PageAsOf),
    responses((status = 200, description = "A page of attachments", body = AttachmentList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (attachments, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.attachments)?;
    let page = AttachmentList { attachments, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}
