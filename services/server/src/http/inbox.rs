//! `GET /v1/inbox`

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Answer;
use super::call::{Call, NoBody};
use super::lists::{self, Asked, InProgress};
use crate::app::App;
use crate::views::{self, Row, View, Waiting};

#[derive(Serialize, ToSchema)]
pub struct Inbox {
    /// Newest first.
    #[schema(max_items = 200)]
    pub releases: Vec<InboxEntry>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// A release, and what in it waits for the caller.
#[derive(Serialize, ToSchema)]
pub struct InboxEntry {
    #[serde(flatten)]
    pub row: Row,
    #[schema(max_items = 10000)]
    pub waiting: Vec<Waiting>,
}

/// Read what waits for you
///
/// What the caller's roles can do now, release by release: open items of the step a release is in, approvals and
/// waivers to decide, answers to the roll-call, life-cycle commands that come next. An item that is assigned to
/// somebody says so.
#[utoipa::path(
    get,
    path = "/v1/inbox",
    operation_id = "getInbox",
    tag = "Releases",
    params(InProgress),
    responses((status = 200, description = "What waits", body = Inbox, example = json!({
        "releases": [{
            "release": "checkout-2.4.0", "product": "checkout", "version": "2.4.0", "class": "normal",
            "state": "open", "step": 2, "step_name": "Validate in staging", "closed": 9, "total": 49,
            "candidate": "v2.4.0-rc.1", "opened_at": "2026-11-22T09:00:00Z",
            "updated_at": "2026-11-22T12:00:00Z", "revision": 31, "position": 1042, "next_roles": ["qa"],
            "waiting": [{"operation": "attestItem", "item": "2.2", "name": "Smoke tests passed", "roles": ["qa"]}]
        }]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, InProgress>) -> Answer {
    inbox(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn inbox(app: &App, call: &Call<(), NoBody, InProgress>) -> Answer {
    let asked = &call.query;
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::Releases, asked.product.as_ref(), asked.limit).await?;
    let before = lists::place(asked.cursor.as_deref(), |key| key.parse().ok())?;
    let (product, of) = (asked.product.clone(), scope.clone());
    let mut found =
        lists::query(app, move |db| views::inbox(db, &of, product.as_ref(), before, limit + 1)).await?;
    let next_cursor = lists::next(&mut found, limit, |(last, _)| last.opened);
    let releases = found.into_iter().map(|(row, mut waiting)| {
        waiting.retain(|entry| scope.has_any(&row.product, &entry.roles));
        InboxEntry { row, waiting }
    });
    let page = Inbox { releases: releases.collect(), next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}
