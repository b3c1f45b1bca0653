//! `GET /v1/releases/{release}/authorizations`

use actix_web::web::Data;
use release::value::ReleaseId;

use super::AuthorizationList;
use crate::app::App;
use crate::http::answer::{Answer, json};
use crate::http::call::{Call, NoBody};
use crate::http::releases::{AsOf, read};

/// List authorizations
///
/// All production authorizations of the release, oldest first.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/authorizations",
    operation_id = "listAuthorizations",
    tag = "Approvals",
    params(AsOf),
    responses((status = 200, description = "The list", body = AuthorizationList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, AsOf>) -> Answer {
    let snapshot = read(&app, &call.caller, &call.path, &call.query).await?;
    let state = &snapshot.release.state;
    let body = json(&AuthorizationList { authorizations: &state.authorizations })?;
    Ok(snapshot.answer(&call.caller, body))
}
