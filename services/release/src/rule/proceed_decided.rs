//! 5.4: the canary passed and it was decided to proceed. What is marginal or insufficient takes two
//! people, what failed is never proceeded with, and a rule that fires before the end withdraws it.

use serde::{Deserialize, Serialize};

use super::canary_monitored::{accepts_less, is_sampled, of_run, seen_by, serving, two_proceed};
use super::{Findings, Judge, Reading, Reads, Rule};
use crate::canary::{CanaryThresholds, Limits, rounded};
use crate::event::{CanaryVerdict, ProceedDecision, RollbackDecision};
use crate::evidence::{CanaryRun, EvidenceKind, of};
use crate::procedure::CANARY_MONITORED;
use crate::release::{Deployment, ItemStatus, Release, Trigger};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ProceedDecided {}

impl Judge for ProceedDecided {
    fn reads(&self) -> Reads {
        let recorded = Reads::CANARY.and(Reads::TIMER).and(Reads::PROCEED).and(Reads::TELEMETRY);
        Reads::of(&[EvidenceKind::CanaryRun])
            .and(recorded)
            .and(Reads::DEPLOYMENT)
            .and(Reads::ROLLBACK)
            .and(Reads::ITEMS)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(deployment) = serving(reading, findings) else { return };
        let Some(limits) = Limits::of(&reading.procedure.thresholds) else {
            return findings.absent("procedure/thresholds/canary", "how a canary is judged");
        };
        let at = |member: &str| format!("deployment/{}/{member}", deployment.deployment);
        if without_canary(reading) {
            // Who decided is recorded here, under their own names.
            findings.seen_by(true);
            let both = two_proceed(deployment);
            let observed = if both { "two people" } else { "fewer" };
            findings.row(at("canary/verdict"), both, Cause::Value, WITHOUT_CANARY, observed);
        } else if is_sampled(deployment) {
            seen_by(deployment, findings);
            let judged = of_run(reading, deployment).filter(|last| is_last(limits.canary, last.look));
            match judged {
                Some(last) => verdict(reading, findings, at("canary/verdict"), last.verdict, deployment),
                // Before the last look a failure is final too, and nothing else is.
                None => {
                    let failed = of_run(reading, deployment)
                        .filter(|evaluated| evaluated.verdict == CanaryVerdict::Fail);
                    let observed = failed.map_or("not yet", |_| CanaryVerdict::Fail.as_str());
                    findings.row(at("canary/verdict"), false, Cause::Value, PASS, observed);
                }
            }
        } else {
            reported(reading, deployment, limits.canary, findings);
        }
        let last = deployment.decisions.last();
        match last {
            None => findings.absent(at("decisions"), "a decision to proceed"),
            Some(last) => {
                let proceeds = last.decision == ProceedDecision::Proceed;
                let observed = last.decision.as_str();
                findings.row(at("decisions"), proceeds, Cause::Value, "proceed", observed);
            }
        }
        let fired: Vec<_> = reading
            .release
            .triggers
            .iter()
            .filter(|trigger| withdraws(reading.release, deployment, trigger))
            .map(|trigger| trigger.rule.to_string())
            .collect();
        let observed = if fired.is_empty() { "none".to_owned() } else { fired.join(" ") };
        findings.row(at("triggers"), fired.is_empty(), Cause::Value, "none before the end", observed);
    }
}

const PASS: &str = "pass, or two people who proceed with less; never a failure";

const WITHOUT_CANARY: &str = "two people who proceed without a canary";

/// It was justified and confirmed that traffic cannot be split.
fn without_canary(reading: &Reading<'_>) -> bool {
    let item = reading.procedure.item_by_key(CANARY_MONITORED);
    item.is_some_and(|item| matches!(reading.release.status(item.number), ItemStatus::NotApplicable { .. }))
}

/// The looks that the procedure plans are over; an extension only adds to them.
fn is_last(canary: &CanaryThresholds, look: u32) -> bool {
    look >= canary.planned_looks()
}

fn verdict(
    reading: &Reading<'_>,
    findings: &mut Findings,
    input: String,
    verdict: CanaryVerdict,
    deployment: &Deployment,
) {
    let holds = match verdict {
        CanaryVerdict::Pass => true,
        CanaryVerdict::Marginal => two_proceed(deployment),
        CanaryVerdict::Insufficient => accepts_less(reading, deployment),
        CanaryVerdict::Fail => false,
    };
    findings.row(input, holds, Cause::Value, PASS, verdict.as_str());
}

/// A controller's run is judged by its error rate: there are no points of other metrics.
fn reported(
    reading: &Reading<'_>,
    deployment: &Deployment,
    canary: &CanaryThresholds,
    findings: &mut Findings,
) {
    let own = reading.latest(of::CanaryRun);
    let of_clock = || reading.item_of(|rule| matches!(rule, Rule::CanaryMonitored(_)));
    let run = own.or_else(|| reading.of_item(of_clock()?).latest(of::CanaryRun));
    let Some(run) = run else {
        let expected = "samples of the canary, or the whole run as its controller saw it";
        return findings.no_evidence(reading.number(), EvidenceKind::CanaryRun, expected);
    };
    findings.rest_on(run.evidence);
    let since = deployment.started_at;
    let (began, expected) = (run.from >= since, format!("not before {since}"));
    findings.row(run.at("from"), began, Cause::Stale, expected, run.from.to_string());
    let (Some(ours), Some(control)) = (run.error_rate, run.control_error_rate) else {
        let member = if run.error_rate.is_none() { "error_rate" } else { "control_error_rate" };
        return findings.absent(run.at(member), "the errors of the canary and of its control");
    };
    let limit = limit(canary, control);
    let expected = format!("at most {}, where the control has {}", rounded(limit), rounded(control));
    findings.row(run.at("error_rate"), ours <= limit, Cause::Value, expected, rounded(ours));
    if ours <= limit {
        verdict(reading, findings, run.at("requests"), power(canary, run.facts()), deployment);
    }
}

/// Beyond this the rate is worse by ratio and by difference.
fn limit(canary: &CanaryThresholds, control: f64) -> f64 {
    let rate = canary.error_rate();
    let by_ratio = rate.and_then(|rate| rate.ratio).map_or(control, |ratio| ratio * control);
    by_ratio.max(control + rate.and_then(|rate| rate.difference).unwrap_or(0.0))
}

fn power(canary: &CanaryThresholds, run: &CanaryRun) -> CanaryVerdict {
    if run.requests < canary.requests_min { CanaryVerdict::Insufficient } else { CanaryVerdict::Pass }
}

/// It called for a rollback before all traffic was on the candidate, and no two people decided against it.
fn withdraws(release: &Release, deployment: &Deployment, trigger: &Trigger) -> bool {
    let before = deployment.succeeded_at().is_none_or(|done| trigger.at < done);
    let went_on = |proposal: &crate::release::Proposal| {
        proposal.trigger == Some(trigger.trigger) && proposal.decided() == Some(RollbackDecision::Continue)
    };
    trigger.is_about(deployment) && before && !release.proposals.iter().any(went_on)
}
