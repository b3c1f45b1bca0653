//! `GET /v1/people`

use std::ops::Bound;

use actix_web::web::Data;
use release::directory::Directory;
use release::value::ActorId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Person;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{self, Page, page_of};
use crate::http::problem::Problem;
use crate::names;

#[derive(Serialize, ToSchema)]
pub struct PersonList<'a> {
    /// By actor id.
    #[schema(max_items = 200)]
    pub people: Vec<Person<'a>>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 3200)]
    pub next_cursor: Option<String>,
}

/// List people
///
/// Every actor the directory holds something of, by id.
#[utoipa::path(
    get,
    path = "/v1/people",
    operation_id = "listPeople",
    tag = "People",
    params(Page),
    responses((status = 200, description = "A page of people", body = PersonList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Page>) -> Answer {
    let caller = &call.caller;
    let directory = read_known_to_all(&app.directories, names::directory(caller.tenant()), caller).await?;
    let (people, next_cursor) = page(&directory.state, &call.query).map_err(|problem| problem.on(caller))?;
    let page = PersonList { people, next_cursor };
    page_of(&directory, caller, &call.query, &page, page.next_cursor.as_deref())
}

/// Somebody may be linked between two who are there, so a place is the actor that a page ended with.
fn page<'a>(directory: &'a Directory, query: &Page) -> Result<(Vec<Person<'a>>, Option<String>), Problem> {
    let limit = lists::limit(query.limit)?;
    let from = lists::place(query.cursor.as_deref(), |key| ActorId::new(key).ok())?;
    let start = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let people = directory.identities.range::<ActorId, _>((start, Bound::Unbounded));
    let person = |(actor, _)| Person::of(directory, actor);
    let mut people: Vec<_> = people.map(person).take(limit + 1).collect();
    let next_cursor = lists::next(&mut people, limit, |last| last.actor.clone());
    Ok((people, next_cursor))
}
