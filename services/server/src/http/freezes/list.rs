//! `GET /v1/freezes`

use actix_web::web::Data;
use release::calendar::Freeze;
use serde::Serialize;
use utoipa::ToSchema;

use super::concerns;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::names;

#[derive(Serialize, ToSchema)]
pub struct FreezeList<'a> {
    /// In the order they were declared.
    #[schema(max_items = 2000)]
    pub freezes: Vec<&'a Freeze>,
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
    responses((status = 200, description = "The freezes", body = FreezeList<'static>)),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody>) -> Answer {
    let caller = &call.caller;
    let calendar = read_known_to_all(&app.calendars, names::calendar(caller.tenant()), caller).await?;
    let list = FreezeList {
        freezes: calendar.state.freezes.iter().filter(|freeze| concerns(caller, freeze)).collect(),
    };
    committed(&calendar, &list, caller.if_none_match.as_deref())
}
