//! `POST /v1/people`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::directory::{DirectoryCommand, LinkIdentity};

use super::{Person, location};
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Link an identity
///
/// What is given is added to what the directory holds of the actor: keys of commit authors (provider accounts or
/// keyed hashes, never addresses), and where the erasable part of the entry is found. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/people",
    operation_id = "linkIdentity",
    tag = "People",
    request_body(content = LinkIdentity, example = json!({"actor": "https://login.example#emil", "keys": ["github:4711"]})),
    responses((status = 200, description = "What the directory holds of the actor", body = Person<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<LinkIdentity>, DryRun>) -> Answer {
    let actor = call.body.0.actor.clone();
    let recording = Recording {
        streams: &app.directories,
        stream: names::directory(call.caller.tenant()),
        operation: "linkIdentity",
        product: None,
        command: DirectoryCommand::Link(call.body.0),
        around: (),
        status: StatusCode::OK,
    };
    recording
        .answer(&app, &call.caller, |state, _| View::new(&Person::of(state, &actor), location(&actor)))
        .await
}
