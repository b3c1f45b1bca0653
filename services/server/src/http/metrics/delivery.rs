//! `GET /v1/metrics/delivery`

use actix_web::web::Data;
use release::report::metrics::{Delivery, DeliveryCount, ReleaseFacts};
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
pub struct DeliveryMetrics {
    #[serde(flatten)]
    pub measured: Measured,
    #[serde(flatten)]
    pub delivery: Delivery,
}

/// Read the delivery metrics
///
/// DORA's five software delivery metrics of a period (dora.dev/guides/dora-metrics), each counted from recorded events.
/// An event counts when it happened, but never later than it was recorded. Only what releases deployed counts; what
/// production ran without a release is in the period report.
///
/// - **Deployment frequency**: `deployment.finished` with outcome `succeeded` of a deployment to production.
/// - **Change lead time**: from the release's first `candidate.tagged` to its first such `deployment.finished`. DORA
///   begins at the commit; the log does not know when that was, so this is shorter by what lies before the tag.
/// - **Change failure rate**: of the deployments to production started in the period (`deployment.started`), those that
///   were rolled back (`rollback.started`), that ended with outcome `failed`, or, for the last one of a release, that a
///   release of class `emergency` was opened and deployed for, naming this version as its previous one.
/// - **Failed deployment recovery time**: of these, from what was first seen to be wrong (the rollback's `triggered_at`,
///   else its start, or the bad end; the opening of the emergency) to `rollback.verified` (else `rollback.completed`), or
///   to the next deployment that succeeded. `not_recovered` counts those without one.
/// - **Deployment rework rate**: of the deployments to production started in the period, those of class `emergency` or
///   authorized without an approval (`production.break_glass_authorized`), both of which name an incident.
#[utoipa::path(
    get,
    path = "/v1/metrics/delivery",
    operation_id = "getDeliveryMetrics",
    tag = "Metrics",
    params(MetricsQuery),
    responses((status = 200, description = "The metrics", content(
        (DeliveryMetrics = "application/json", example = json!({
            "product": "checkout", "from": "2026-10-01T00:00:00Z", "to": "2027-01-01T00:00:00Z", "position": 48210,
            "deployment_frequency": {"deployments": 61, "per_day": 0.663, "days_with_deployments": 44},
            "lead_time_for_changes":
                {"count": 58, "mean_s": 173200, "median_s": 151000, "p90_s": 301000, "max_s": 612000},
            "change_failure_rate": {"of": 64, "count": 3, "rate": 0.046875},
            "failed_deployment_recovery_time":
                {"count": 3, "mean_s": 700, "median_s": 640, "p90_s": 1010, "max_s": 1010, "not_recovered": 0},
            "deployment_rework_rate": {"of": 64, "count": 1, "rate": 0.015625}
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
    let delivery = lists::query(app, move |db| {
        let mut count = DeliveryCount::of(query.period);
        facts::releases(db, &query, |product, facts| count.add(product, &ReleaseFacts::of(facts)))?;
        Ok(count.finish())
    })
    .await?;
    let text_of = |measured: &_| text(measured, &delivery);
    asked.answer(call.query.format, text_of, |measured| DeliveryMetrics {
        measured,
        delivery: delivery.clone(),
    })
}

fn text(measured: &Measured, delivery: &Delivery) -> Result<String, std::fmt::Error> {
    let mut gauges = Gauges::of("delivery", measured);
    let frequency = &delivery.deployment_frequency;
    gauges.count("deployments", "Deployments to production that succeeded", frequency.deployments);
    gauges.count("days_with_deployments", "Days with at least one of them", frequency.days_with_deployments);
    gauges.durations("lead_time", "From the first tag to production", &delivery.lead_time_for_changes);
    let shares = [
        ("change_failure", "Deployments started that failed", &delivery.change_failure_rate),
        ("deployment_rework", "Deployments started because of an incident", &delivery.deployment_rework_rate),
    ];
    let started = delivery.change_failure_rate.of;
    gauges.count("deployments_started", "Deployments to production that were started", started);
    for (name, help, share) in shares {
        gauges.count(&format!("{name}s"), help, share.count);
        if let Some(rate) = share.rate {
            gauges.ratio(name, help, rate);
        }
    }
    let recovery = &delivery.failed_deployment_recovery_time;
    gauges.durations("recovery_time", "From a failure to its recovery", &recovery.recovered);
    gauges.count("not_recovered", "Failed deployments without a recovery", recovery.not_recovered);
    gauges.text()
}
