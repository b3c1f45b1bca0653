//! `GET /v1/board`

use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::Answer;
use super::call::{Call, NoBody};
use super::lists::{self, Asked, InProgress};
use crate::app::App;
use crate::views::{self, Blocking, Row, StepCount, View};

#[derive(Serialize, ToSchema)]
pub struct Board {
    /// How many releases are in each step, on all pages together.
    #[schema(max_items = 1000)]
    pub steps: Vec<StepCount>,
    /// Newest first.
    #[schema(max_items = 200)]
    pub cards: Vec<Card>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct Card {
    #[serde(flatten)]
    pub row: Row,
    /// The open items of the step it is in.
    #[schema(max_items = 100)]
    pub blocking: Vec<Blocking>,
}

/// Read the board
///
/// Releases in progress with the step each is in, what blocks it, whose move it is and until when; and how many
/// there are in each step. Aborted and closed releases are not on it.
#[utoipa::path(
    get,
    path = "/v1/board",
    operation_id = "getBoard",
    tag = "Releases",
    params(InProgress),
    responses((status = 200, description = "The board", body = Board, example = json!({
        "steps": [{"step": 2, "name": "Validate in staging", "releases": 1}],
        "cards": [{
            "release": "checkout-2.4.0", "product": "checkout", "version": "2.4.0", "class": "normal",
            "state": "open", "step": 2, "step_name": "Validate in staging", "closed": 9, "total": 49,
            "candidate": "v2.4.0-rc.1", "opened_at": "2026-11-22T09:00:00Z",
            "updated_at": "2026-11-22T12:00:00Z", "revision": 31, "position": 1042,
            "next_roles": ["qa"], "blocking": [{"item": "2.1", "name": "Deployed to staging", "status": "pending"}]
        }]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, InProgress>) -> Answer {
    board(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn board(app: &App, call: &Call<(), NoBody, InProgress>) -> Answer {
    let asked = &call.query;
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::Releases, asked.product.as_ref(), asked.limit).await?;
    let before = lists::place(asked.cursor.as_deref(), |key| key.parse().ok())?;
    let product = asked.product.clone();
    let (steps, mut found) = lists::query(app, move |db| {
        let product = product.as_ref();
        let steps = views::live_steps(db, &scope, product)?;
        Ok((steps, views::cards(db, &scope, product, before, limit + 1)?))
    })
    .await?;
    let next_cursor = lists::next(&mut found, limit, |(last, _)| last.opened);
    let cards = found.into_iter().map(|(row, blocking)| Card { row, blocking }).collect();
    let page = Board { steps, cards, next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}
