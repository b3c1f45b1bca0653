//! `GET /signed`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use eventlog::signer::Sign;

use super::{Shared, SignedBody};
use crate::http::problem::Problem;

pub async fn handler(shared: Data<Shared>, request: HttpRequest) -> Result<HttpResponse, Problem> {
    shared.admit(&request)?;
    let signed = shared.signer.signed().await;
    let signed = signed.map_err(|refused| Problem::from(refused).at(&request))?;
    let (checkpoint, keys) = (signed.checkpoint.to_string(), signed.keys.to_string());
    Ok(HttpResponse::Ok().json(SignedBody { checkpoint, keys }))
}
