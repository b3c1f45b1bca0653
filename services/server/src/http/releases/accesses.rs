//! `GET /v1/releases/{release}/accesses`

use actix_web::web::Data;
use release::value::ReleaseId;
use release::{Role, role_missing};
use serde::Serialize;
use utoipa::ToSchema;

use super::{stream, unknown};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists::{self, Page};
use crate::views::{self, Access, View};

/// Who looked at what is for those who audit, and for those who are answerable.
const READERS: [Role; 2] = [Role::Admin, Role::Auditor];

#[derive(Serialize, ToSchema)]
pub struct AccessList {
    /// Those recorded last first.
    #[schema(max_items = 200)]
    pub accesses: Vec<Access>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List who read a release
///
/// Which auditor read anything of the release on which day, recorded last first: the release itself, its checklist,
/// items, evidence, attachments, events and proofs, its bundle, and its report in every form. The first read of a
/// day is on record, a moment after it was answered; lists across releases and the log as a whole are reads of no single
/// release, and neither is this list. Others than auditors are not recorded. Role: `admin` or `auditor`.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/accesses",
    operation_id = "listReleaseAccesses",
    tag = "Releases",
    params(Page),
    responses((status = 200, description = "A page of accesses", body = AccessList, example = json!({
        "accesses": [{
            "principal": "https://login.example#audrey", "day": "2026-11-22", "at": "2026-11-22T12:00:00Z",
            "operation": "GET /v1/releases/{release}/report", "position": 1042, "event": 1043
        }]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<ReleaseId, NoBody, Page>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<ReleaseId, NoBody, Page>) -> Answer {
    let (caller, id, asked) = (&call.caller, &call.path, &call.query);
    let held = caller.principal.roles_for(Some(id.product()));
    if !held.iter().any(|role| READERS.contains(role)) {
        return Err(role_missing(&READERS, &held).into());
    }
    let release = app.releases.load(&stream(caller, id)?).await?.committed();
    release.state.opened.as_ref().ok_or_else(|| unknown(id))?;
    let limit = lists::limit(asked.limit)?;
    let before = lists::place(asked.cursor.as_deref(), |key| key.parse::<u64>().ok())?;
    let position = lists::ready(app, View::EventIds, caller.min_position).await?;
    let (tenant, id) = (caller.tenant().to_owned(), id.clone());
    let query = move |db: &_| views::accesses(db, &tenant, &id, before, limit + 1);
    let mut accesses = lists::query(app, query).await?;
    let next_cursor = lists::next(&mut accesses, limit, |last| last.event);
    let page = AccessList { accesses, next_cursor };
    lists::page(caller, asked, &page, position, page.next_cursor.as_deref())
}
