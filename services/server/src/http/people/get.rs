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

/// Read a person
///
/// What the directory holds of one actor.
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
    let identity = directory.state.identity(actor).ok_or_else(|| {
        let refusal = Refusal::new(RefusalCode::IdentityUnknown, format!("nothing is linked to {actor}"));
        Problem::from(refusal).on(caller)
    })?;
    committed(&directory, &Person { actor, identity: Some(identity) }, caller.if_none_match.as_deref())
}
