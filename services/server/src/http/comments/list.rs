//! `GET /v1/releases/{release}/comments`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::CommentList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List comments
///
/// All comments of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/comments",
    operation_id = "listComments",
    tag = "Comments",
    params(AsOf),
    responses((status = 200, description = "The comments", body = CommentList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let body = json(&CommentList { comments: &snapshot.release.state.comments })?;
    Ok(snapshot.answer(&call.caller, body))
}
