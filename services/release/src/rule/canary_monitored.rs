//! 5.3: the canary had its time in the weight band, without gaps that count, with enough telemetry and
//! requests. The recorded clock says so, or a controller reports the whole run.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::canary::Limits;
use crate::event::{CanaryEvaluated, ProceedDecision, SampleSeries};
use crate::evidence::{EvidenceKind, of};
use crate::procedure::CANARY_MONITORED;
use crate::release::{Deployment, DeploymentOrigin, DeploymentState};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CanaryMonitored {}

impl Judge for CanaryMonitored {
    fn reads(&self) -> Reads {
        let recorded = Reads::CANARY.and(Reads::TIMER).and(Reads::PROCEED).and(Reads::TELEMETRY);
        Reads::of(&[EvidenceKind::CanaryRun]).and(recorded).and(Reads::DEPLOYMENT).and(Reads::ROLLBACK)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(deployment) = serving(reading, findings) else { return };
        let Some(limits) = Limits::of(&reading.procedure.thresholds) else {
            return findings.absent("procedure/thresholds/canary", "how a canary is judged");
        };
        if !is_sampled(deployment) {
            return reported(reading, deployment, &limits, findings);
        }
        seen_by(deployment, findings);
        let at = |member: &str| format!("deployment/{}/canary/{member}", deployment.deployment);
        let needed = reading.procedure.thresholds.canary_min_s;
        let expected = format!("at least {needed} seconds from {} to {} %", limits.band.0, limits.band.1);
        let last = of_run(reading, deployment).filter(|last| last.elapsed_s >= needed);
        let Some(last) = last else {
            // Time that has not passed is no fact that a signature could stand in for.
            return findings.row(at("elapsed_s"), false, Cause::Value, expected, "not yet");
        };
        findings.row(at("elapsed_s"), true, Cause::Value, expected, format!("{} seconds", last.elapsed_s));
        for row in last.rows.iter().filter(|row| row.rule == CANARY_MONITORED) {
            findings.row(at("coverage"), row.ok, Cause::Value, &row.expected, &row.observed);
        }
        // How little power so few requests have is stated with the verdict; two people may accept that.
        let accepted = accepts_less(reading, deployment);
        for row in last.rows.iter().filter(|row| row.rule == "R1") {
            let member = row.input.rsplit('/').next().unwrap_or(&row.input);
            let expected = format!("{}, or two people who accept less", row.expected);
            findings.row(at(member), row.ok || accepted, Cause::Value, expected, &row.observed);
        }
    }
}

/// What the controller says of a run that was not sampled here.
fn reported(reading: &Reading<'_>, deployment: &Deployment, limits: &Limits<'_>, findings: &mut Findings) {
    let Some(run) = reading.latest(of::CanaryRun) else {
        let expected = "samples of the canary, or the whole run as its controller saw it";
        return findings.no_evidence(reading.number(), EvidenceKind::CanaryRun, expected);
    };
    findings.rest_on(run.evidence);
    let since = deployment.started_at;
    let (began, expected) = (run.from >= since, format!("not before {since}"));
    findings.row(run.at("from"), began, Cause::Stale, expected, run.from.to_string());
    let (least, most) = limits.band;
    let (low, high) = (run.weight_min_percent, run.weight_max_percent);
    let expected = format!("at least {least} %");
    findings.row(run.at("weight_min_percent"), low >= least, Cause::Value, expected, format!("{low} %"));
    let expected = format!("at most {most} %");
    findings.row(run.at("weight_max_percent"), high <= most, Cause::Value, expected, format!("{high} %"));
    let needed = reading.procedure.thresholds.canary_min_s;
    let span = run.to.duration_since(run.from).as_secs();
    let long = u64::try_from(span).is_ok_and(|span| span >= needed);
    let expected = format!("at least {needed} seconds");
    findings.row(run.at("to"), long, Cause::Value, expected, format!("{span} seconds"));
    let least = limits.canary.coverage_min;
    let covered = run.coverage >= least;
    findings.row(
        run.at("coverage"),
        covered,
        Cause::Value,
        format!("at least {least}"),
        run.coverage.to_string(),
    );
    let most = u64::from(limits.canary.gap_pause_s);
    findings.checked(
        run.at("longest_gap_s"),
        run.longest_gap_s,
        Cause::Value,
        format!("at most {most}"),
        |gap| *gap <= most,
    );
    let least = limits.canary.requests_min;
    let enough = run.requests >= least || accepts_less(reading, deployment);
    let expected = format!("at least {least}, or two people who accept less");
    findings.row(run.at("requests"), enough, Cause::Value, expected, run.requests.to_string());
}

/// The deployment whose canary is in question: it serves, and is not being taken back.
pub fn serving<'a>(reading: &Reading<'a>, findings: &mut Findings) -> Option<&'a Deployment> {
    let Some(deployment) = reading.release.in_production() else {
        findings.absent("deployment", "a deployment to production");
        return None;
    };
    if matches!(deployment.status, DeploymentState::RollingBack { .. }) {
        let input = format!("deployment/{}/state", deployment.deployment);
        findings.row(input, false, Cause::Value, "running or succeeded", deployment.status.as_str());
        return None;
    }
    Some(deployment)
}

/// Whether the canary is judged by its samples; else a controller may report the whole run.
pub fn is_sampled(deployment: &Deployment) -> bool {
    deployment.canary.as_ref().is_some_and(|canary| canary.telemetry.has(SampleSeries::Canary))
}

pub fn seen_by(deployment: &Deployment, findings: &mut Findings) {
    let of_machine = |canary: &crate::release::Canary| canary.origin == DeploymentOrigin::Machine;
    findings.seen_by(deployment.canary.as_ref().is_none_or(of_machine));
}

/// The last look of the run that counts: what was seen before the clock started again does not.
pub fn of_run<'a>(reading: &Reading<'a>, deployment: &'a Deployment) -> Option<&'a CanaryEvaluated> {
    let item = reading.procedure.item_by_key(CANARY_MONITORED)?.number;
    let timer = reading
        .release
        .timers
        .iter()
        .rfind(|timer| timer.deployment == deployment.deployment && timer.item == item)?;
    let run = timer.resets.saturating_add(1);
    let mut evaluations = deployment.canary.as_ref()?.evaluations.iter().map(|one| &*one.evaluated);
    evaluations.rfind(|evaluated| evaluated.run == run)
}

/// Who proceeds although so few requests show little: two people, or one where it was planned and approved.
pub fn accepts_less(reading: &Reading<'_>, deployment: &Deployment) -> bool {
    let last = deployment.decisions.last().map(|last| last.decision);
    let planned = reading.release.low_traffic.is_some() && last == Some(ProceedDecision::Proceed);
    planned || two_proceed(deployment)
}

/// Two people decided to proceed, and nothing else has been decided since.
pub fn two_proceed(deployment: &Deployment) -> bool {
    let mut last = deployment.decisions.iter().rev();
    last.by_ref().take_while(|one| one.decision == ProceedDecision::Proceed).any(|one| one.also_by.is_some())
}
