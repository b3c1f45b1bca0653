//! `GET /v1/reports`

use actix_web::web::Data;
use jiff::Timestamp;
use release::value::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::ReportEnvelope;
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, FromQuery, NoBody};
use crate::http::lists::{self, Asked};
use crate::http::problem::Problem;
use crate::names;
use crate::views::{self, View};

#[derive(Debug, Deserialize, Serialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ListReports {
    #[param(inline)]
    pub product: Option<Name>,
    /// How many reports at most; 50 when absent.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(min_length = 1, max_length = 200, pattern = "^[A-Za-z0-9_-]+$")]
    pub cursor: Option<String>,
}

impl FromQuery for ListReports {}

#[derive(Serialize, ToSchema)]
pub struct ReportList {
    /// The envelopes of reports, those made last first.
    #[schema(max_items = 200)]
    pub reports: Vec<ReportEnvelope>,
    /// Absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 200)]
    pub next_cursor: Option<String>,
}

/// List reports
///
/// The reports that were generated of the products the caller reads, those made last first.
#[utoipa::path(
    get,
    path = "/v1/reports",
    operation_id = "listReports",
    tag = "Reports",
    params(ListReports),
    responses((status = 200, description = "A page of reports", body = ReportList)),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, ListReports>) -> Answer {
    list(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn list(app: &App, call: &Call<(), NoBody, ListReports>) -> Answer {
    let asked = &call.query;
    let product = asked.product.clone();
    let Asked { scope, limit, position } =
        lists::asked(app, &call.caller, View::Catalog, product.as_ref(), asked.limit).await?;
    let after = lists::place(asked.cursor.as_deref(), |key| {
        let (at, id) = key.split_once(' ')?;
        Some((at.parse::<Timestamp>().ok()?, id.parse::<Uuid>().ok()?))
    })?;
    let query = move |db: &_| views::reports(db, &scope, product.as_ref(), after, limit + 1);
    let mut found = lists::query(app, query).await?;
    let next_cursor = lists::next(&mut found, limit, |(at, id)| format!("{at} {id}"));
    let mut reports = Vec::with_capacity(found.len());
    for (_, id) in found {
        let stream = names::report(call.caller.tenant(), id).map_err(|error| Problem::internal(&error))?;
        let known = app.reports.load(&stream).await?.committed();
        reports.extend(known.state.generated.as_ref().map(|generated| ReportEnvelope::of(app, generated)));
    }
    let page = ReportList { reports, next_cursor };
    lists::page(&call.caller, asked, &page, position, page.next_cursor.as_deref())
}
