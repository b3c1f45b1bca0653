//! `GET /v1/freezes`

use actix_web::web::Data;
use release::calendar::Freeze;
use serde::Serialize;
use utoipa::ToSchema;

use super::concerns;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{Page, page_of};
use crate::names;

#[derive(Serialize, ToSchema)]
pub struct FreezeList<'a> {
    /// In the order they were declared.
    #[schema(max_items = 200)]
    pub freezes: Vec<&'a Freeze>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List freezes
///
/// In the order they were declared, lifted ones and those that are over included: those of every product, and of
/// the products the caller reads.
#[utoipa::path(
    get,
    path = "/v1/freezes",
    operation_id = "listFreezes",
    tag = "Calendar",
    params(Page),
    responses((status = 200, description = "A page of freezes", body = FreezeList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Page>) -> Answer {
    let caller = &call.caller;
    let calendar = read_known_to_all(&app.calendars, names::calendar(caller.tenant()), caller).await?;
    let shown: Vec<_> =
        calendar.state.freezes.iter().filter(|freeze| concerns(caller, freeze)).cloned().collect();
    let (freezes, next_cursor) = call.query.turn(&call.caller, &shown)?;
    let page = FreezeList { freezes, next_cursor };
    page_of(&calendar, &call.caller, &call.query, &page, page.next_cursor.as_deref())
}
