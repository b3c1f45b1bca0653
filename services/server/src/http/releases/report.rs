//! `GET /v1/releases/{release}/report`

use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use jiff::Timestamp;
use release::report::ReleaseReport;
use release::value::{Name, ReleaseId};
use serde::Deserialize;
use utoipa::IntoParams;

use super::AsOf;
use crate::app::App;
use crate::http::answer::{Answer, Document};
use crate::http::call::{Call, FromQuery, NoBody, exact_integer};
use crate::http::prefer::wait_s;
use crate::http::reports::rendered::{self, Form};
use crate::http::reports::{controls, of};
use crate::report::Made;

/// Which state of the release is reported, and in which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ReportAsOf {
    /// The report of events recorded at or before this time (RFC 3339).
    #[param(example = "2026-11-22T12:00:00Z")]
    pub as_of: Option<Timestamp>,
    /// The report of events up to this position of the log.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_position: Option<u64>,
    /// The report of events up to this revision of the release.
    #[param(minimum = 0, maximum = 9007199254740991_u64)]
    #[serde(default, deserialize_with = "exact_integer")]
    pub at_revision: Option<u64>,
    /// The control mapping to look at; the built-in one when absent.
    #[param(value_type = Option<Name>)]
    pub control_mapping: Option<Name>,
    /// Which version of it; the newest when absent.
    #[param(minimum = 1)]
    pub control_mapping_version: Option<u32>,
    /// The form, as `Accept` may say too; this counts where both do.
    #[param(inline)]
    pub format: Option<Form>,
}

impl FromQuery for ReportAsOf {
    const ANSWERS: &'static [&'static str] = &rendered::ANSWERS;
}

/// Read the report of a release
///
/// The compliance report as canonical JSON (RFC 8785): summary, exceptions, the items of the checklist with what they
/// rest on, approvals with the independence of each approver, candidates, changes, deployments, departures, controls,
/// timeline, and how all of it is verified. Its bytes depend on the release's events up to `Shiplog-Position`, on the
/// control mapping and the period of retention that it names, and on nothing else; `Content-Digest` has their SHA-256.
/// What the log does not know is null. Nothing is recorded: `POST /v1/reports` does that. What was recorded a moment
/// ago waits for its checkpoint; `Prefer: wait=N` waits for that up to 30 seconds.
/// HTML, CSV and PDF are renderings of these bytes and say their SHA-256; `Content-Digest` is then the rendering's own.
#[utoipa::path(
    get,
    path = "/v1/releases/{release}/report",
    operation_id = "getReleaseReport",
    tag = "Reports",
    params(
        ReportAsOf,
        ("Prefer" = Option<String>, Header, description = "`wait=N`: seconds to wait for a checkpoint that covers the release, at most 30.",
            example = "wait=5", max_length = 100),
    ),
    responses((status = 200, description = "The report", content(
        (ReleaseReport = "application/json"),
        (String = "text/html"),
        (String = "text/csv"),
        (String = "application/pdf"),
    ))),
)]
pub async fn handler(
    app: Data<App>,
    call: Call<ReleaseId, NoBody, ReportAsOf>,
    request: HttpRequest,
) -> Answer {
    report(&app, &call, &request).await.map_err(|problem| problem.on(&call.caller))
}

async fn report(app: &App, call: &Call<ReleaseId, NoBody, ReportAsOf>, request: &HttpRequest) -> Answer {
    let ReportAsOf { as_of, at_position, at_revision, format, .. } = &call.query;
    let format = rendered::asked(*format, request);
    let when = AsOf { as_of: *as_of, at_position: *at_position, at_revision: *at_revision, as_at: None };
    let wait = wait_s(request.headers())?;
    let (name, version) = (call.query.control_mapping.as_ref(), call.query.control_mapping_version);
    let controls = controls(app, &call.caller, name, version).await?;
    let fresh = of(app, &call.caller, &call.path, &when, wait, controls).await?;
    if let Some(format) = format {
        let Made { bytes, position, .. } = fresh.made;
        let name = format!("report-{}", call.path);
        return rendered::answer(app, format, bytes, None, position, &name, &call.caller).await;
    }
    let document = Document {
        sha256: &fresh.made.sha256,
        position: fresh.made.position,
        known: call.caller.if_none_match.as_deref(),
        immutable: false,
    };
    let unchanged = document.unchanged();
    Ok(unchanged.unwrap_or_else(|| document.answer(&mut HttpResponse::Ok()).body(fresh.made.bytes)))
}
