//! `GET /v1/people`

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::Person;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::names;

#[derive(Serialize, ToSchema)]
pub struct PersonList<'a> {
    /// By actor id.
    #[schema(max_items = 10000)]
    pub people: Vec<Person<'a>>,
}

/// List people
///
/// Every actor the directory holds something of, by id.
#[utoipa::path(
    get,
    path = "/v1/people",
    operation_id = "listPeople",
    tag = "People",
    responses((status = 200, description = "The people", body = PersonList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody>) -> Answer {
    let caller = &call.caller;
    let directory = read_known_to_all(&app.directories, names::directory(caller.tenant()), caller).await?;
    let person = |(actor, identity)| Person { actor, identity: Some(identity) };
    let list = PersonList { people: directory.state.identities.iter().map(person).collect() };
    committed(&directory, &list, caller.if_none_match.as_deref())
}
