//! `GET /v1/releases/{release}/comments/{comment}`

use actix_web::web::Data;
use release::release::Comment;
use release::value::ReleaseId;
use uuid::Uuid;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read a comment
///
/// One comment by its id.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/comments/{comment}",
    operation_id = "getComment",
    tag = "Comments",
    params(AsOf),
    responses((status = 200, description = "The comment", body = Comment)),
)]
pub async fn handler(app: Data<App>, call: Call<(ReleaseId, Uuid), NoBody, AsOf>) -> Answer {
    let (id, comment) = &call.path;
    let snapshot = read(&app, &call.caller, id, &call.query).await?;
    let found = view(id, &snapshot.release.state, Some(*comment));
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}
