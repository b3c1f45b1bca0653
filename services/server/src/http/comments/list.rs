//! `GET /v1/releases/{release}/comments`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::CommentList;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{PageAsOf, read};

/// List comments
///
/// All comments of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/comments",
    operation_id = "listComments",
    tag = "Comments",
    params(PageAsOf),
    responses((status = 200, description = "A page of comments", body = CommentList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, PageAsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query.when()).await?;
    let (comments, next_cursor) = call.query.turn(&call.caller, &snapshot.release.state.comments)?;
    let page = CommentList { comments, next_cursor };
    snapshot.page(&call.caller, &call.query, &page, page.next_cursor.as_deref())
}
