//! 6.8: the time of monitoring has passed since the full rollout, watched and without holes.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
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
        Reads::of(&[EvidenceKind::Timer]).and(Reads::TIMER).and(Reads::DEPLOYMENT).and(Reads::ROLLBACK)
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
        let needed = reading.procedure.thresholds.monitoring_min_s.of(reading.release.class());
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
