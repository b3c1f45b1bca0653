//! `GET /v1/whoami`

use actix_web::HttpResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::auth::PrincipalKind;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};

/// Who the service takes the caller for.
#[derive(Serialize, ToSchema)]
pub struct Whoami {
    /// Issuer and subject.
    #[schema(value_type = release::value::ActorId)]
    pub id: String,
    /// `person` or `machine`.
    #[schema(max_length = 16, pattern = "^(person|machine)$")]
    pub kind: String,
    #[schema(max_length = 63)]
    pub tenant: String,
    /// Roles, each for every product or, with `:product`, for one.
    #[schema(max_items = 1000, value_type = Vec<release::value::Line>)]
    pub roles: Vec<String>,
    /// Roles in the token that this service does not know; they grant nothing.
    #[schema(max_items = 1000, value_type = Vec<release::value::Line>)]
    pub unknown_roles: Vec<String>,
    pub expires_at: jiff::Timestamp,
}

/// Read who you are
///
/// What the service understood of the caller's token.
#[utoipa::path(
    get,
    path = "/v1/whoami",
    operation_id = "getWhoami",
    tag = "Operations",
    responses((status = 200, description = "The caller", body = Whoami)),
)]
pub async fn handler(call: Call<(), NoBody>) -> Answer {
    let principal = &call.caller.principal;
    Ok(HttpResponse::Ok().json(Whoami {
        id: principal.id.clone(),
        kind: match principal.kind {
            PrincipalKind::Person => "person".to_owned(),
            PrincipalKind::Machine => "machine".to_owned(),
        },
        tenant: principal.tenant.clone(),
        roles: principal.roles.iter().map(ToString::to_string).collect(),
        unknown_roles: principal.unknown_roles.clone(),
        expires_at: principal.expires_at,
    }))
}
