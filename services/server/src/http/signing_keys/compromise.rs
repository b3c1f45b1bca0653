//! `POST /v1/signing-keys/{key}/compromise`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::installation::{DeclareCompromise, InstallationCommand, SigningKey};
use release::value::KeyId;

use super::{found, known};
use crate::app::App;
use crate::http::aggregate::{Recording, read_known_to_all};
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::http::events::must_audit;
use crate::names;

/// Declare a signing key compromised
///
/// Somebody else may hold the key. From `from_size` on its signature alone proves nothing; bundles that are exported
/// name it, and auditors end the key in their policies. Declared again it reaches further back, never less far.
/// Rotate the key as well, where the signer is. Role: `admin`, of the installation.
#[utoipa::path(
    post,
    path = "/v1/signing-keys/{key}/compromise",
    operation_id = "declareSigningKeyCompromised",
    tag = "Log",
    request_body(content = DeclareCompromise, example = json!({
        "from_size": 1001, "reason": "The signer's disk was stolen."
    })),
    responses((status = 200, description = "The key, with what was declared of it", body = SigningKey)),
)]
pub async fn handler(app: Data<App>, call: Call<KeyId, Json<DeclareCompromise>, DryRun>) -> Answer {
    let (caller, id) = (&call.caller, &call.path);
    must_audit(caller).map_err(|problem| problem.on(caller))?;
    let installation = read_known_to_all(&app.installation, names::installation(), caller).await?;
    let keys = known(&app, &installation.state).map_err(|problem| problem.on(caller))?;
    let key = found(&keys, id).map_err(|problem| problem.on(caller))?.key.clone();
    let recording = Recording {
        streams: &app.installation,
        stream: names::installation(),
        operation: "declareSigningKeyCompromised",
        product: None,
        command: InstallationCommand::DeclareCompromise { key, body: call.body.0 },
        around: (),
        status: StatusCode::OK,
    };
    recording
        .answer(&app, caller, |state, _| {
            View::new(found(&state.signing_keys, id)?, format!("/v1/signing-keys/{id}"))
        })
        .await
}
