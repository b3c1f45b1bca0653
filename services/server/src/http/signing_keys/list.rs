//! `GET /v1/signing-keys`

use actix_web::web::Data;
use release::installation::SigningKey;
use serde::Serialize;
use utoipa::ToSchema;

use super::known;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::events::must_audit;
use crate::http::lists::{Page, page_of};
use crate::names;

#[derive(Serialize, ToSchema)]
pub struct SigningKeyList<'a> {
    /// The oldest first.
    #[schema(max_items = 200)]
    pub signing_keys: Vec<&'a SigningKey>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List the log's signing keys
///
/// The keys of its checkpoints with the sizes they sign, and what was declared of them; the oldest first. An auditor
/// compares them with keys from elsewhere before a policy trusts them. For auditors of the installation.
#[utoipa::path(
    get,
    path = "/v1/signing-keys",
    operation_id = "listSigningKeys",
    tag = "Log",
    params(Page),
    responses((status = 200, description = "A page of keys", body = SigningKeyList<'static>, example = json!({
        "signing_keys": [
            {"id": "aec90c73", "key": "shiplog.example/log+aec90c73+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c",
             "from_size": 0, "to_size": 1042,
             "compromised": {"from_size": 1001, "reason": "The signer's disk was stolen.",
                             "at": "2026-03-01T09:30:00Z", "by": "https://login.example#root"}},
            {"id": "7105f39b", "key": "shiplog.example/log+7105f39b+AYE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU",
             "from_size": 1043}
        ]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Page>) -> Answer {
    let caller = &call.caller;
    must_audit(caller).map_err(|problem| problem.on(caller))?;
    let installation = read_known_to_all(&app.installation, names::installation(), caller).await?;
    let keys = known(&app, &installation.state).map_err(|problem| problem.on(caller))?;
    let (signing_keys, next_cursor) = call.query.turn(caller, keys.iter())?;
    let page = SigningKeyList { signing_keys, next_cursor };
    page_of(&installation, caller, &call.query, &page, page.next_cursor.as_deref())
}
