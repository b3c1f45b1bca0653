//! `POST /v1/releases/{release}/items/{item}/attest`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::Command;
use release::checklist::ItemDetail;
use release::command::AttestItem;
use release::value::{ItemNumber, ReleaseId};

use super::view;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, DryRun, Json};
use crate::http::releases::record;

/// Attest an item
///
/// Signs that the item holds for the current candidate, resting on evidence recorded before (`evidence`) or
/// given here (`new_evidence`); at least one piece of a kind the item accepts. Items with `second` roles
/// close with the second signature, by another person. Refused while earlier steps have open items, except
/// for items that may be attested early. Role: one of the item's `roles` or `second`.
#[utoipa::path(
    post,
    path = "/v1/releases/{release}/items/{item}/attest",
    operation_id = "attestItem",
    tag = "Items",
    request_body(content = AttestItem, example = json!({"statement": "Branch protected, no force-push", "new_evidence": [{"facts": {"kind": "git_ref", "repository": "acme/checkout", "ref_name": "release/2.4.0", "head_sha": "5d1c2f0a8e4b6973c1d0e9f8a7b6c5d4e3f2a1b0", "protected": true}, "url": "https://git.example/acme/checkout/tree/release/2.4.0"}]})),
    responses((status = 200, description = "The item after it", body = ItemDetail)),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<(ReleaseId, ItemNumber), Json<AttestItem>, DryRun>,
) -> Answer {
    let (id, item) = call.path;
    let command = Command::AttestItem { item, body: call.body.0 };
    record(&app, &call.caller, "attestItem", &id, command, StatusCode::OK, |state, procedure, _| {
        view(&id, state, procedure, item)
    })
    .await
}
