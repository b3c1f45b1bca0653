//! `GET /v1/exceptions`

use actix_web::web::Data;
use jiff::Timestamp;
use release::release::{ExceptionKind, Severity};
use release::value::{ActorId, Name, ReleaseId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, FromQuery, NoBody};
use crate::http::lists::{self, Asked};
use crate::views::{self, ExceptionFilter, ExceptionRow, ExceptionState, View};

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListExceptions {
    #[param(inline)]
    pub product: Option<Name>,
    #[param(inline)]
    pub release: Option<ReleaseId>,
    #[param(inline)]
    pub state: Option<ExceptionState>,
    #[param(inline)]
    pub severity: Option<Severity>,
    #[param(inline)]
    pub kind: Option<ExceptionKind>,
    /// Who takes charge of it.
    #[param(inline)]
    pub owner: Option<ActorId>,
    /// Whether it is open and past its due date.
    pub overdue: Option<bool>,
    /// How many exceptions at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 600, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for ListExceptions {}

#[derive(Serialize, ToSchema)]
pub struct ExceptionList {
    /// Those recorded last first.
    #[schema(max_items = 200, value_type = Vec<ExceptionRow<'static>>)]
    pub exceptions: Vec<Box<RawValue>>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 600)]
    pub next_cursor: Option<String>,
}

/// List exceptions
///
/// What went another way in the releases and environments of the products the caller reads, recorded last first.
/// They follow from recorded events and are never deleted; `deploy/AUDIT.md` says what each kind comes from, and what
/// cannot become one. `Shiplog-Position` says what the list includes.
#[utoipa::path(
    get,
    path = "/v1/exceptions",
    operation_id = "listExceptions",
    tag = "Exceptions",
    params(ListExceptions),
    responses((status = 200, description = "A page of exceptions", body = ExceptionList, example = json!({
        "exceptions": [{
            "exception": "release-default.checkout-2.4.0:tag_mutated:31", "product": "checkout",
            "release": "checkout-2.4.0", "state": "open", "kind": "tag_mutated", "revision": 31,
            "severity": "high", "at": "2026-11-22T12:00:00Z", "by": "https://ci.example#checkout",
            "due_at": "2026-11-23T12:00:00Z"
        }]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, ListExceptions>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<(), NoBody, ListExceptions>) -> Answer {
    let asked = &call.query;
    let product = asked.product.as_ref();
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::Releases, product, asked.limit).await?;
    // Those of environments are written with what there is.
    lists::ready(app, View::Catalog, call.caller.min_position).await?;
    let after = lists::place(asked.cursor.as_deref(), |key| {
        let (at, id) = key.split_once(' ')?;
        Some((at.parse::<Timestamp>().ok()?, id.to_owned()))
    })?;
    let filter = ExceptionFilter {
        product: asked.product.clone(),
        release: asked.release.clone(),
        state: asked.state,
        severity: asked.severity,
        kind: asked.kind,
        owner: asked.owner.clone(),
        overdue: asked.overdue.map(|overdue| (overdue, app.clock.now())),
        after,
    };
    let mut found = lists::query(app, move |db| views::exceptions(db, &scope, &filter, limit + 1)).await?;
    let next_cursor = lists::next(&mut found, limit, |last| format!("{} {}", last.at, last.id));
    let page = ExceptionList { exceptions: found.into_iter().map(|found| found.body).collect(), next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}
