//! `GET /v1/releases`

use actix_web::web::Data;
use jiff::Timestamp;
use release::event::ChangeClass;
use release::value::{Name, Version};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, FromQuery, NoBody};
use crate::http::lists::{self, Asked};
use crate::http::problem::{Code, Problem};
use crate::views::{self, Filter, Row, View};

/// The longest text to search for, and the most words in it.
const MAX_TEXT: usize = 200;
const MAX_WORDS: usize = 16;

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListReleases {
    #[param(inline)]
    pub product: Option<Name>,
    #[param(inline)]
    pub state: Option<State>,
    /// The number of the first step with an open item.
    #[param(minimum = 0, maximum = 4294967295_u64)]
    pub step: Option<u32>,
    #[param(inline)]
    pub class: Option<ChangeClass>,
    #[param(inline)]
    pub version: Option<Version>,
    /// Opened at or after this time.
    #[param(example = "2026-11-01T00:00:00Z")]
    pub opened_from: Option<Timestamp>,
    /// Opened before this time.
    #[param(example = "2026-12-01T00:00:00Z")]
    pub opened_to: Option<Timestamp>,
    /// Something was recorded at or after this time.
    #[param(example = "2026-11-22T00:00:00Z")]
    pub updated_since: Option<Timestamp>,
    /// Words that all occur, at least as beginnings, in what was written about the release: id, reason, ticket,
    /// candidates, comments, statements, waivers.
    #[param(min_length = 1, max_length = 200, pattern = "\\S", example = "payment PAY-1042")]
    pub q: Option<String>,
    /// How many releases at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for ListReleases {}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ReleaseState)]
pub enum State {
    Open,
    Held,
    Aborted,
    Completed,
    Closed,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Held => "held",
            Self::Aborted => "aborted",
            Self::Completed => "completed",
            Self::Closed => "closed",
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct ReleaseList {
    /// Newest first.
    #[schema(max_items = 200)]
    pub releases: Vec<Row>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List and search releases
///
/// Releases of the products the caller reads, those opened last first. The order never changes, so pages stay
/// complete while releases are opened. `Shiplog-Position` says what the list includes.
#[utoipa::path(
    get,
    path = "/v1/releases",
    operation_id = "listReleases",
    tag = "Releases",
    params(ListReleases),
    responses((status = 200, description = "A page of releases", body = ReleaseList, example = json!({
        "releases": [{
            "release": "checkout-2.4.0", "product": "checkout", "version": "2.4.0", "class": "normal",
            "state": "open", "step": 2, "step_name": "Validate in staging", "closed": 9, "total": 49,
            "candidate": "v2.4.0-rc.1", "opened_at": "2026-11-22T09:00:00Z",
            "updated_at": "2026-11-22T12:00:00Z", "revision": 31, "position": 1042,
            "next_roles": ["qa", "operator"]
        }]
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, ListReleases>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<(), NoBody, ListReleases>) -> Answer {
    let asked = &call.query;
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::Releases, asked.product.as_ref(), asked.limit).await?;
    let filter = Filter {
        product: asked.product.clone(),
        state: asked.state.map(State::as_str),
        step: asked.step,
        class: asked.class,
        version: asked.version.clone(),
        opened_from: asked.opened_from,
        opened_to: asked.opened_to,
        updated_since: asked.updated_since,
        text: asked.q.as_deref().map(text).transpose()?,
        before: lists::place(asked.cursor.as_deref(), |key| key.parse().ok())?,
    };
    let mut releases = lists::query(app, move |db| views::list(db, &scope, &filter, limit + 1)).await?;
    let next_cursor = lists::next(&mut releases, limit, |last| last.opened);
    let page = ReleaseList { releases, next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}

/// A word is what holds a letter or a digit: the rest cannot be found.
fn text(text: &str) -> Result<String, Problem> {
    let searchable = |word: &&str| word.contains(char::is_alphanumeric);
    let words: Vec<_> = text.split_whitespace().filter(searchable).collect();
    let unreadable = text.chars().count() > MAX_TEXT || text.contains(char::is_control);
    if unreadable || !(1..=MAX_WORDS).contains(&words.len()) {
        let detail =
            format!("1 to {MAX_WORDS} words, together at most {MAX_TEXT} characters, none of control");
        return Err(Problem::field(Code::InvalidParameter, "q", detail));
    }
    Ok(words.join(" "))
}
