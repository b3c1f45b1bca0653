//! `POST /v1/people/erase`

use actix_web::http::StatusCode;
use actix_web::web::Data;
use release::directory::{Directory, DirectoryCommand, ErasePerson};

use super::{Person, location};
use crate::app::App;
use crate::command::{Handled, handle};
use crate::http::answer::{self, Answer, View};
use crate::http::call::{Call, Caller, DryRun, Json};
use crate::http::problem::Problem;
use crate::names;

/// Erase a person
///
/// Destroys every name that the person was printed by, with its salt, through whichever of their actors it was given.
/// Renderings of reports print `erased` from then on. No event, report, hash or proof changes, and neither does what
/// actors are linked to: `POST /v1/people/unlink` ends that. Who is erased can be named again. Copies that were made
/// of the vault have the names until they are destroyed too. The reason stays for ever; it must not name anybody.
/// Role: `admin`.
#[utoipa::path(
    post,
    path = "/v1/people/erase",
    operation_id = "erasePerson",
    tag = "People",
    request_body(content = ErasePerson, example = json!({"actor": "https://login.example#emil", "reason": "erasure request 118"})),
    responses((status = 200, description = "What the directory holds of the actor", body = Person<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), Json<ErasePerson>, DryRun>) -> Answer {
    let erased = erase(&app, &call.caller, call.body.0).await;
    erased.map_err(|problem| problem.on(&call.caller))
}

async fn erase(app: &App, caller: &Caller, body: ErasePerson) -> Answer {
    caller.has_any_role()?;
    let envelope = caller.envelope("erasePerson", None)?;
    let stream = names::directory(caller.tenant()).map_err(|error| Problem::internal(&error))?;
    let actor = body.actor.clone();
    let command = DirectoryCommand::Erase(body);
    let view = |state: &Directory, _: &[_]| {
        (View::new(&Person::of(state, &actor), location(&actor)), state.erased_names(&actor))
    };
    let handled = match handle(app, &app.directories, &stream, &envelope, &command, &(), view).await? {
        Handled::Preview(preview) => Handled::Preview(preview),
        Handled::Recorded(outcome) => {
            let (outcome, erased) = outcome.split();
            // A name that was recorded a moment ago is kept by now.
            let _alone = app.attaching.write().await;
            for sha256 in &erased {
                app.vault.remove(sha256).await.map_err(|error| Problem::internal(&error))?;
            }
            Handled::Recorded(outcome)
        }
    };
    answer::recorded(handled, StatusCode::OK)
}
