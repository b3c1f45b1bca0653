//! `POST /v1/people/unlink`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::directory::{DirectoryCommand, UnlinkIdentity};

use super::{Person, location};
use crate::app::App;
use crate::http::aggregate::Recording;
use crate::http::answer::{Answer, View};
use crate::http::call::{Call, DryRun, Json};
use crate::names;

/// Unlink an identity
///
/// Takes keys away, or the whole entry when no key is given. Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/people/unlink",
    operation_id = "unlinkIdentity",
    tag = "People",
    request_body(content = UnlinkIdentity, example = json!({"actor": "https://login.example#emil", "reason": "account closed"})),
    responses((status = 200, description = "What the directory holds of the actor", body = Person<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<UnlinkIdentity>, DryRun>) -> Answer {
    let actor = call.body.0.actor.clone();
    let recording = Recording {
        streams: &app.directories,
        stream: names::directory(call.caller.tenant()),
        operation: "unlinkIdentity",
        product: None,
        command: DirectoryCommand::Unlink(call.body.0),
        around: (),
        status: StatusCode::OK,
    };
    recording
        .answer(&app, &call.caller, |state, _| {
            let identity = state.identity(&actor);
            let location = identity.map_or_else(|| "/v1/people".to_owned(), |_| location(&actor));
            View::new(&Person::of(state, &actor), location)
        })
        .await
}
