//! `GET /v1/metrics/flow`

use actix_web::web::Data;
use release::report::metrics::{Flow, FlowCount, ReleaseFacts};
use serde::Serialize;
use utoipa::ToSchema;

use super::prometheus::Gauges;
use super::{Measured, MetricsQuery, asked};
use crate::app::App;
use crate::http::answer::Answer;
use crate::http::call::{Call, NoBody};
use crate::http::lists;
use crate::views::facts;

#[derive(Serialize, ToSchema)]
pub struct FlowMetrics {
    #[serde(flatten)]
    pub measured: Measured,
    #[serde(flatten)]
    pub flow: Flow,
}

/// Read the flow metrics
///
/// How releases moved through their steps in a period, from recorded events.
///
/// - **Time in each step**: a release is in the first step whose gate does not hold (`gate.evaluated`), from
///   `release.opened` on. Each stay counts in the period in which it ended; a gate that closes again begins another one.
///   Releases of procedures whose gates are not recorded have none.
/// - **Wait for approval**: from `approval.requested` to the `approval.granted` that completed the quorum, or to
///   `approval.standing_applied`. `not_approved` were rejected, withdrawn, revoked or expired without it.
/// - **Waiver rate**: of the releases whose first deployment to production was started in the period, how many had each
///   item waived (`item.waiver_granted`, effective), before the start or after it.
#[utoipa::path(
    get,
    path = "/v1/metrics/flow",
    operation_id = "getFlowMetrics",
    tag = "Metrics",
    params(MetricsQuery),
    responses((status = 200, description = "The metrics", content(
        (FlowMetrics = "application/json", example = json!({
            "product": "checkout", "from": "2026-10-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "position": 48210,
            "steps": [{"step": 1, "time":
                {"count": 61, "mean_s": 9100, "median_s": 7400, "p90_s": 16900, "max_s": 40100}}],
            "approval_wait": {
                "approved": {"count": 60, "mean_s": 4100, "median_s": 2900, "p90_s": 9900, "max_s": 31000},
                "not_approved": 2
            },
            "waivers": {"releases": 60, "with_waivers": 3, "items": [{"item": "2.4", "waived": 3, "rate": 0.05}]}
        })),
        (String = "application/openmetrics-text"),
    ))),
)]
pub async fn handler(app: Data<App>, call: Call<(), NoBody, MetricsQuery>) -> Answer {
    read(&app, &call).await.map_err(|problem| problem.on(&call.caller))
}

async fn read(app: &App, call: &Call<(), NoBody, MetricsQuery>) -> Answer {
    let asked = asked(app, &call.caller, &call.query).await?;
    let query = asked.facts.clone();
    let flow = lists::query(app, move |db| {
        let mut count = FlowCount::of(query.period);
        facts::releases(db, &query, |_, facts| count.add(&ReleaseFacts::of(facts)))?;
        Ok(count.finish())
    })
    .await?;
    let text_of = |measured: &_| text(measured, &flow);
    asked.answer(call.query.format, text_of, |measured| FlowMetrics { measured, flow: flow.clone() })
}

fn text(measured: &Measured, flow: &Flow) -> Result<String, std::fmt::Error> {
    let mut gauges = Gauges::of("flow", measured);
    for stay in &flow.steps {
        let name = format!("step_{}_time", stay.step);
        gauges.durations(&name, &format!("In step {}, of stays that ended", stay.step), &stay.time);
    }
    let wait = &flow.approval_wait;
    gauges.durations("approval_wait", "From a request to its approval", &wait.approved);
    gauges.count("approvals_not_given", "Requests that ended without approval", wait.not_approved);
    let waivers = &flow.waivers;
    gauges.count("releases", "Releases first deployed to production", waivers.releases);
    gauges.count("releases_with_waivers", "Of these, with a waiver", waivers.with_waivers);
    for waived in &waivers.items {
        let name = format!("item_{}_waived", waived.item.to_string().replace('.', "_"));
        gauges.ratio(&name, &format!("Releases with item {} waived", waived.item), waived.rate);
    }
    gauges.text()
}
