//! `GET /.well-known/jwks.json`

use std::io;

use actix_web::http::header;
use actix_web::web::{self, Data};
use actix_web::{HttpRequest, HttpResponse};

use crate::app::App;
use crate::auth::issue::{DIRECTORY, JWKS_FILE};
use crate::http::answer::Answer;
use crate::http::problem::Problem;

/// Read the public keys
///
/// The key set of the issuer that this process runs itself, which it does for development only (`--dev`). In any
/// other process the set is empty: tokens are those of configured issuers, who publish their own keys.
#[utoipa::path(
    get,
    path = "/.well-known/jwks.json",
    operation_id = "getKeySet",
    tag = "Operations",
    security(()),
    responses((status = 200, description = "The key set (RFC 7517)", body = Object,
        content_type = "application/jwk-set+json")),
)]
pub async fn handler(app: Data<App>, request: HttpRequest) -> Answer {
    let file = app.config.data.join(DIRECTORY).join(JWKS_FILE);
    let keys = match app.config.dev {
        true => web::block(|| std::fs::read(file)).await.unwrap_or_else(|error| Err(io::Error::other(error))),
        false => Err(io::ErrorKind::NotFound.into()),
    };
    let keys = match keys {
        Err(error) if error.kind() == io::ErrorKind::NotFound => br#"{"keys":[]}"#.to_vec(),
        keys => keys.map_err(|error| Problem::internal(&error).at(&request))?,
    };
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, "application/jwk-set+json"))
        .insert_header((header::CACHE_CONTROL, "public, max-age=300"))
        .body(keys))
}
