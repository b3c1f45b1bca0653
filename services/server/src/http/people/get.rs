//! `GET /v1/people/{actor}`

use actix_web::web::Data;
use release::value::ActorId;
use release::{Refusal, RefusalCode};

use super::Person;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::http::problem::Problem;
use crate::names;
use crate::printed_names::printed;

/// Read a person
///
/// What the directory holds of one actor, and the name they are printed by.
#[utoipa::path(
    get,
    path = "/v1/people/{actor}",
    operation_id = "getPerson",
    tag = "People",
    responses((status = 200, description = "The person", body = Person<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<ActorId, NoBody>) -> Answer {
    let (caller, actor) = (&call.caller, &call.path);
    let directory = read_known_to_all(&app.directories, names::directory(caller.tenant()), caller).await?;
    let mut person = Person::of(&directory.state, actor);
    if person.identity.is_none() {
        let refusal = Refusal::new(RefusalCode::IdentityUnknown, format!("nothing is linked to {actor}"));
        return Err(Problem::from(refusal).on(caller));
    }
    if let Some(name) = person.name {
        let printed = printed(&app, &directory.state, actor, &name.sha256).await;
        let printed = printed.map_err(|error| Problem::from(error).on(caller))?;
        person.printed_name = printed.name().map(ToOwned::to_owned);
    }
    committed(&directory, &person, caller.if_none_match.as_deref())
}
