//! `GET /v1/signing-keys/{key}`

use actix_web::web::Data;
use release::installation::SigningKey;
use release::value::KeyId;

use super::{found, known};
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::http::events::must_audit;
use crate::names;

/// Read a signing key
///
/// One key of the log's checkpoints by its id, the eight digits in the verifier key. For auditors of the
/// installation.
#[utoipa::path(
    get,
    path = "/v1/signing-keys/{key}",
    operation_id = "getSigningKey",
    tag = "Log",
    responses((status = 200, description = "The key", body = SigningKey)),
)]
pub async fn handler(app: Data<App>, call: Call<KeyId, NoBody>) -> Answer {
    let caller = &call.caller;
    must_audit(caller).map_err(|problem| problem.on(caller))?;
    let installation = read_known_to_all(&app.installation, names::installation(), caller).await?;
    let keys = known(&app, &installation.state).map_err(|problem| problem.on(caller))?;
    let key = found(&keys, &call.path).map_err(|problem| problem.on(caller))?;
    committed(&installation, key, caller.if_none_match.as_deref())
}
