//! `GET /v1/releases/{release}/window`

use actix_web::web::Data;
use release::release::Window;
use release::value::ReleaseId;

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// Read the deployment window
///
/// The window that is set, open or over; 404 before the first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/window",
    operation_id = "getWindow",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "The window", body = Window)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let found = view(&call.path, &snapshot.release.state);
    let body = found.map_err(|problem| problem.on(&call.caller))?.body;
    Ok(snapshot.answer(&call.caller, body))
}
