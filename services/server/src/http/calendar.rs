//! `GET /v1/calendar`

use actix_web::web::Data;
use jiff::{SignedDuration, Timestamp};
use release::calendar::Freeze;
use release::value::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::answer::Answer;
use super::call::{Call, FromQuery, NoBody};
use super::problem::{Code, Problem};
use super::{freezes, lists};
use crate::app::App;
use crate::names;
use crate::views::{self, PlannedWindow, View};

const DEFAULT_RANGE: SignedDuration = SignedDuration::from_hours(28 * 24);
const LONGEST_RANGE: SignedDuration = SignedDuration::from_hours(366 * 24);
const MAX_WINDOWS: usize = 1_000;

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The beginning of the range; now when absent.
    #[param(example = "2026-11-22T00:00:00Z")]
    pub from: Option<Timestamp>,
    /// Its end, not included; 28 days after the beginning when absent, at most 366.
    #[param(example = "2026-12-20T00:00:00Z")]
    pub to: Option<Timestamp>,
    /// Every product the caller reads when absent.
    #[param(inline)]
    pub product: Option<Name>,
}

impl FromQuery for Range {}

#[derive(Serialize, ToSchema)]
pub struct CalendarView {
    pub from: Timestamp,
    pub to: Timestamp,
    /// When releases are planned to go to production, by beginning.
    #[schema(max_items = 1000)]
    pub windows: Vec<PlannedWindow>,
    /// There are more windows in the range: ask for a shorter one.
    pub windows_cut: bool,
    /// Freezes that are or were in force in the range.
    #[schema(max_items = 2000)]
    pub freezes: Vec<Freeze>,
}

/// Read the calendar
///
/// Deployment windows and freezes that overlap a range of time.
#[utoipa::path(
    get,
    path = "/v1/calendar",
    operation_id = "getCalendar",
    tag = "Calendar",
    params(Range),
    responses((status = 200, description = "The calendar", body = CalendarView, example = json!({
        "from": "2026-11-22T00:00:00Z", "to": "2026-12-20T00:00:00Z",
        "windows": [{"release": "checkout-2.4.0", "product": "checkout", "class": "normal", "state": "open",
                     "from": "2026-11-24T09:00:00Z", "to": "2026-11-24T12:00:00Z"}],
        "windows_cut": false, "freezes": []
    }))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, Range>) -> Answer {
    calendar(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn calendar(app: &App, call: &Call<(), NoBody, Range>) -> Answer {
    let (asked, caller) = (&call.query, &call.caller);
    let scope = lists::scope(caller, asked.product.as_ref())?;
    let (from, to) = range(asked, app.clock.now())?;
    let position = lists::ready(app, View::Releases, caller.min_position).await?;
    let product = asked.product.clone();
    let mut windows = lists::query(app, move |db| {
        views::windows(db, &scope, product.as_ref(), (from, to), MAX_WINDOWS + 1)
    })
    .await?;
    let windows_cut = lists::cut(&mut windows, MAX_WINDOWS);
    let stream = names::calendar(caller.tenant()).map_err(|error| Problem::internal(&error))?;
    let known = app.calendars.load(&stream).await?.committed();
    let asked_for = |freeze: &&Freeze| match (&freeze.product, &asked.product) {
        (Some(frozen), Some(asked)) => frozen == asked,
        _ => freezes::concerns(caller, freeze),
    };
    let overlaps = |freeze: &&Freeze| freeze.from < to && from < freeze.ends();
    let freezes = known.state.freezes.iter().filter(asked_for).filter(overlaps).cloned().collect();
    let view = CalendarView { from, to, windows, windows_cut, freezes };
    lists::answer(caller, asked, &view, position, None)
}

fn range(asked: &Range, now: Timestamp) -> Result<(Timestamp, Timestamp), Problem> {
    let wrong = || Problem::field(Code::InvalidParameter, "to", "after from, by at most 366 days");
    let from = asked.from.unwrap_or(now);
    let to = match asked.to {
        Some(to) => to,
        None => from.checked_add(DEFAULT_RANGE).map_err(|_| wrong())?,
    };
    let length = to.duration_since(from);
    if length <= SignedDuration::ZERO || length > LONGEST_RANGE {
        return Err(wrong());
    }
    Ok((from, to))
}
