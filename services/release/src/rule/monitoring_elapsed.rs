//! 6.8: the time of monitoring has passed since the full rollout, watched and without holes.

use serde::{Deserialize, Serialize};

use super::canary_monitored::seen_by;
use super::{Findings, Judge, Reading, Reads, Rule};
use crate::canary::monitoring::{self, MonitoringVerdict};
use crate::canary::rounded;
use crate::evidence::{EvidenceKind, of};
use crate::release::{Timer, TimerStatus};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MonitoringElapsed {
    /// For how much of the time there have to be samples.
    pub coverage_min_percent: u32,
}

impl Judge for MonitoringElapsed {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Timer, EvidenceKind::Dashboard])
            .and(Reads::TIMER)
            .and(Reads::TELEMETRY)
            .and(Reads::DEPLOYMENT)
            .and(Reads::ROLLBACK)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some((deployment, done)) = reading.full_rollout() else {
            return findings.absent("deployment/finished_at", "a deployment that succeeded");
        };
        let own =
            |timer: &&Timer| timer.deployment == deployment.deployment && timer.item == reading.number();
        match reading.release.timers.iter().rfind(own) {
            Some(timer) => {
                let input = format!("timer/{}/status", timer.timer);
                let expected = format!("elapsed at {}", timer.elapses_at);
                match &timer.status {
                    TimerStatus::Elapsed { .. } => {
                        findings.row(input, true, Cause::Value, expected, "elapsed")
                    }
                    // Time that has not passed is no fact that a signature could stand in for.
                    TimerStatus::Running => findings.row(input, false, Cause::Value, expected, "running"),
                    TimerStatus::Paused { .. } => {
                        findings.row(input, false, Cause::Value, expected, "paused")
                    }
                    TimerStatus::Reset { .. } => findings.row(input, false, Cause::Value, expected, "reset"),
                    TimerStatus::Cancelled { .. } => {
                        findings.row(input, false, Cause::Value, expected, "cancelled")
                    }
                }
            }
            None => findings.absent("timer", "a timer from the full rollout on"),
        }
        let verdict = monitoring::of(reading.release, deployment, reading.procedure, reading.now);
        if let Some(verdict) = verdict.filter(|verdict| verdict.last_sample.is_some()) {
            seen_by(deployment, findings);
            return self.sampled(reading, &verdict, findings);
        }
        let Some(watch) = reading.latest(of::Timer) else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::Timer,
                "who watched, and how much was seen",
            );
        };
        findings.rest_on(watch.evidence);
        findings.row(
            watch.at("from"),
            watch.from >= done,
            Cause::Stale,
            format!("not before {done}"),
            watch.from.to_string(),
        );
        let needed = reading.release.monitoring_s(&reading.procedure.thresholds);
        let span = watch.to.duration_since(watch.from).as_secs();
        let long = u64::try_from(span).is_ok_and(|span| span >= needed);
        findings.row(
            watch.at("to"),
            long,
            Cause::Value,
            format!("at least {needed} seconds"),
            format!("{span} seconds"),
        );
        let least = f64::from(self.coverage_min_percent) / 100.0;
        let expected = format!("at least {least}");
        findings.checked(watch.at("coverage"), watch.coverage, Cause::Value, expected, |coverage| {
            *coverage >= least
        });
        findings.checked(
            watch.at("watcher"),
            watch.watcher.as_ref(),
            Cause::Value,
            "a named watcher",
            |_| true,
        );
    }
}

impl MonitoringElapsed {
    /// How much was seen is known from the samples; who watched, from a report or the dashboard's.
    fn sampled(&self, reading: &Reading<'_>, verdict: &MonitoringVerdict, findings: &mut Findings) {
        let least = f64::from(self.coverage_min_percent) / 100.0;
        let covered = verdict.coverage >= least;
        let expected = format!("at least {least}");
        findings.row("monitoring/coverage", covered, Cause::Value, expected, rounded(verdict.coverage));
        let watch = reading.latest(of::Timer);
        if let Some((watch, watcher)) = watch.and_then(|watch| Some((watch, watch.facts().watcher.as_ref()?)))
        {
            findings.rest_on(watch.evidence);
            return findings.row(
                watch.at("watcher"),
                true,
                Cause::Value,
                "a named watcher",
                watcher.as_str(),
            );
        }
        let dashboards = reading.item_of(|rule| matches!(rule, Rule::DashboardsWatched(_)));
        match dashboards.and_then(|item| reading.of_item(item).latest(of::Dashboard)) {
            Some(board) => {
                findings.rest_on(board.evidence);
                let watcher = board.watcher.as_str();
                findings.row(board.at("watcher"), true, Cause::Value, "a named watcher", watcher);
            }
            None => findings.no_evidence(reading.number(), EvidenceKind::Timer, "who watched"),
        }
    }
}
