//! `GET /v1/legal-holds`

use actix_web::web::Data;
use release::retention::LegalHold;
use serde::Serialize;
use utoipa::ToSchema;

use super::may_see;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{Page, page_of};
use crate::names;

#[derive(Serialize, ToSchema)]
pub struct LegalHoldList<'a> {
    /// In the order in which they were placed.
    #[schema(max_items = 200)]
    pub legal_holds: Vec<&'a LegalHold>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List legal holds
///
/// In the order in which they were placed, lifted ones included. Role: `admin` or `auditor`.
#[utoipa::path(
    get,
    path = "/v1/legal-holds",
    operation_id = "listLegalHolds",
    tag = "Retention",
    params(Page),
    responses((status = 200, description = "A page of holds", body = LegalHoldList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Page>) -> Answer {
    let caller = &call.caller;
    may_see(caller).map_err(|problem| problem.on(caller))?;
    let retention = read_known_to_all(&app.retentions, names::retention(caller.tenant()), caller).await?;
    let (legal_holds, next_cursor) = call.query.turn(caller, &retention.state.holds)?;
    let page = LegalHoldList { legal_holds, next_cursor };
    page_of(&retention, caller, &call.query, &page, page.next_cursor.as_deref())
}
