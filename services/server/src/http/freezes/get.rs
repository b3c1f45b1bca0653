//! `GET /v1/freezes/{freeze}`

use actix_web::web::Data;
use release::calendar::Freeze;
use release::{Refusal, RefusalCode};
use uuid::Uuid;

use super::concerns;
use crate::app::App;
use crate::http::aggregate::read_known_to_all;
use crate::http::answer::{Answer, committed};
use crate::http::call::{Call, NoBody};
use crate::http::problem::Problem;
use crate::names;

/// Read a freeze
///
/// One freeze by its id.
#[utoipa::path(
    get,
    path = "/v1/freezes/{freeze}",
    operation_id = "getFreeze",
    tag = "Calendar",
    responses((status = 200, description = "The freeze", body = Freeze)),
)]
pub async fn handler(app: Data<App>, call: Call<Uuid, NoBody>) -> Answer {
    let caller = &call.caller;
    let calendar = read_known_to_all(&app.calendars, names::calendar(caller.tenant()), caller).await?;
    let freeze =
        calendar.state.freeze(call.path).filter(|freeze| concerns(caller, freeze)).ok_or_else(|| {
            Problem::from(Refusal::new(RefusalCode::FreezeUnknown, "no such freeze was declared")).on(caller)
        })?;
    committed(&calendar, freeze, caller.if_none_match.as_deref())
}
