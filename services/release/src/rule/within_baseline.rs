//! 6.4 to 6.7: the metrics of the item stayed within their baseline for the time of 6.8, bucket by bucket.
//! Where no sample came, a report of the whole time is judged by the limits of the whole time.

use serde::{Deserialize, Serialize};

use super::canary_monitored::seen_by;
use super::{Findings, Judge, Read, Reading, Reads};
use crate::canary::monitoring::{self, Baselines, HeldTo};
use crate::canary::{MonitoredMetric, rounded};
use crate::evidence::{EvidenceKind, Metrics, of};
use crate::release::Deployment;
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WithinBaseline {}

impl Judge for WithinBaseline {
    fn reads(&self) -> Reads {
        let recorded = Reads::TELEMETRY.and(Reads::BASELINE).and(Reads::TIMER);
        Reads::of(&[EvidenceKind::MetricWindow, EvidenceKind::MetricBaseline])
            .and(recorded)
            .and(Reads::DEPLOYMENT)
            .and(Reads::ROLLBACK)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some((deployment, _)) = reading.full_rollout() else {
            return findings.absent("deployment/finished_at", "a deployment that succeeded");
        };
        let metrics = of_item(reading);
        if metrics.is_empty() {
            return findings.absent("procedure/thresholds/monitoring", "how the item's metrics are judged");
        }
        if monitoring::is_sampled(deployment, &metrics) {
            sampled(reading, deployment, findings);
        } else {
            reported(reading, deployment, &metrics, findings);
        }
    }

    /// The product measures none of the item's metrics.
    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        let queries = &reading.settings.metric_queries;
        let names: Vec<_> = of_item(reading).iter().map(|metric| metric.metric.as_str()).collect();
        let measured: Vec<_> =
            queries.iter().map(|query| query.name.as_str()).filter(|name| names.contains(name)).collect();
        let observed = if measured.is_empty() { "none".to_owned() } else { measured.join(" ") };
        let expected = "none of the item's metrics";
        findings.row("settings/metric_queries", measured.is_empty(), Cause::Value, expected, observed);
        true
    }
}

/// The metrics that the procedure counts to the item.
fn of_item<'a>(reading: &Reading<'a>) -> Vec<&'a MonitoredMetric> {
    let monitoring = reading.procedure.thresholds.monitoring.as_ref();
    let metrics = monitoring.into_iter().flat_map(|monitoring| &monitoring.metrics);
    metrics.filter(|metric| metric.item == reading.item.key && !metric.muted).collect()
}

fn sampled(reading: &Reading<'_>, deployment: &Deployment, findings: &mut Findings) {
    let verdict = monitoring::of(reading.release, deployment, reading.procedure, reading.now);
    let Some(verdict) = verdict else { return };
    seen_by(deployment, findings);
    // Time that has not passed is no fact that a signature could stand in for.
    let expected = format!("at least {}", verdict.planned_s);
    let over = verdict.counted_s >= verdict.planned_s;
    findings.row("monitoring/counted_s", over, Cause::Value, expected, verdict.counted_s.to_string());
    for row in verdict.rows.iter().filter(|row| row.rule == reading.item.key.as_str()) {
        let cause = row.cause.unwrap_or(Cause::Value);
        findings.row(&row.input, row.ok, cause, &row.expected, &row.observed);
    }
    let least = reading.procedure.thresholds.monitoring.as_ref().map(|rules| rules.coverage_min);
    if let (Some(least), Some(_)) = (least, verdict.last_sample) {
        let (input, expected) = ("monitoring/coverage", format!("at least {least}"));
        let covered = verdict.coverage >= least;
        findings.row(input, covered, Cause::Value, expected, rounded(verdict.coverage));
    }
}

fn reported(
    reading: &Reading<'_>,
    deployment: &Deployment,
    metrics: &[&MonitoredMetric],
    findings: &mut Findings,
) {
    let windows = reading.all(of::MetricWindow);
    let baselines = Baselines::of(reading.release, deployment.started_at);
    let mut used: Vec<Read<'_, Metrics>> = Vec::new();
    for held in metrics {
        let name = &held.metric;
        let told = windows.iter().rev().find_map(|window| Some((window, value(window, name)?)));
        let Some((window, (observed, base))) = told else {
            if held.must_have_data && !windows.is_empty() {
                findings.absent(format!("item/{}/evidence/metric_window/{name}", reading.number()), "data");
            }
            continue;
        };
        if !used.iter().any(|known| known.evidence.revision == window.evidence.revision) {
            used.push(*window);
        }
        let base = base.map_or_else(|| baselines.values(name), |base| vec![("as reported", base)]);
        row(findings, window, &HeldTo { metric: held, base }, observed);
    }
    if used.is_empty() {
        let expected = "samples, or metrics of the whole time";
        return findings.no_evidence(reading.number(), EvidenceKind::MetricWindow, expected);
    }
    for window in used {
        findings.rest_on(window.evidence);
        time(reading, &window, findings);
    }
}

fn value(window: &Metrics, name: &Line) -> Option<(f64, Option<f64>)> {
    let metric = window.metrics.iter().find(|metric| metric.name == *name)?;
    Some((metric.value, metric.baseline))
}

/// The limits of the whole time, and a bucket's where none are stricter.
fn row(findings: &mut Findings, window: &Read<'_, Metrics>, held: &HeldTo<'_>, observed: f64) {
    let input = window.at(format!("metrics/{}", held.metric.metric));
    if let Some(least) = held.metric.total_min {
        let enough = observed >= least;
        return findings.row(input, enough, Cause::Value, format!("at least {least}"), rounded(observed));
    }
    let rule = held.metric.whole.as_ref().unwrap_or(&held.metric.bucket);
    let limit = held.limit(rule);
    let expected = held.says(rule, limit);
    match limit {
        Some(limit) => {
            let within = !held.is_beyond(observed, limit);
            findings.row(input, within, Cause::Value, expected, rounded(observed));
        }
        None => findings.absent(input, expected),
    }
}

/// The report is about the whole time of monitoring.
fn time(reading: &Reading<'_>, window: &Read<'_, Metrics>, findings: &mut Findings) {
    let Some((_, done)) = reading.full_rollout() else { return };
    let expected = format!("not before {done}");
    findings.row(window.at("from"), window.from >= done, Cause::Stale, expected, window.from.to_string());
    let needed = reading.release.monitoring_s(&reading.procedure.thresholds);
    let span = window.to.duration_since(window.from).as_secs();
    let long = u64::try_from(span).is_ok_and(|span| span >= needed);
    let expected = format!("at least {needed} seconds");
    findings.row(window.at("to"), long, Cause::Value, expected, format!("{span} seconds"));
    let Some(least) = reading.procedure.thresholds.monitoring.as_ref().map(|rules| rules.coverage_min) else {
        return;
    };
    findings.checked(
        window.at("coverage"),
        window.coverage,
        Cause::Value,
        format!("at least {least}"),
        |coverage| *coverage >= least,
    );
}
