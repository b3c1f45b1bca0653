//! 2.2 and 5.6: every replica of the environment answers with the candidate's version and commit.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::event::{EnvironmentPurpose, ProbeKind};
use crate::evidence::{EvidenceKind, of};
use crate::release::Candidate;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VersionMatches {
    pub purpose: EnvironmentPurpose,
}

impl Judge for VersionMatches {
    fn reads(&self) -> Reads {
        let kinds = Reads::of(&[EvidenceKind::VersionProbe, EvidenceKind::Deployment]);
        let always = kinds.and(Reads::CANDIDATE).and(Reads::DEPLOYMENT);
        if self.purpose == EnvironmentPurpose::Production {
            always.and(Reads::PROBES).and(Reads::TRAFFIC)
        } else {
            always
        }
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(candidate) = reading.candidate() else {
            return findings.absent("candidate", "a candidate");
        };
        if self.purpose == EnvironmentPurpose::Production {
            full_traffic(reading, findings);
        }
        let mut probes = reading.all(of::VersionProbe);
        probes.retain(|probe| reading.has_purpose(&probe.environment, self.purpose));
        let own = self.own_probe(reading);
        let Some(probe) = probes.pop().filter(|probe| own.is_none_or(|own| own.at <= probe.occurred_at()))
        else {
            return match own {
                Some(own) => judge_own(own, reading, candidate, findings),
                None => {
                    let expected = format!("a probe of {}", self.purpose.as_str());
                    findings.no_evidence(reading.number(), EvidenceKind::VersionProbe, expected);
                }
            };
        };
        findings.rest_on(probe.evidence);
        if let Some(status) = probe.http_status {
            findings.row(probe.at("http_status"), status == 200, Cause::Value, "200", status.to_string());
        }
        version(findings, &probe.at("version"), reading, probe.version.as_str());
        let candidate = reading.candidate_at(Some(&probe.commit_sha)).unwrap_or(candidate);
        findings.equal(probe.at("commit_sha"), &candidate.commit_sha, Some(&probe.commit_sha));
        replicas(findings, &probe.at("replicas_matched"), probe.replicas_matched, probe.replicas_total);
        after_deployment(reading, findings, self.purpose, &probe.beside("occurred_at"), probe.occurred_at());
    }
}

impl VersionMatches {
    /// What the server or a machine probed of the running deployment itself.
    fn own_probe<'a>(&self, reading: &Reading<'a>) -> Option<&'a crate::event::Probe> {
        if self.purpose != EnvironmentPurpose::Production {
            return None;
        }
        let deployment = reading.release.in_production()?;
        deployment.version_probes.last.as_ref().filter(|probe| probe.kind == ProbeKind::Version)
    }
}

fn judge_own(
    probe: &crate::event::Probe,
    reading: &Reading<'_>,
    candidate: &Candidate,
    findings: &mut Findings,
) {
    let input = |member: &str| format!("deployment/version_probes/last/{member}");
    findings.seen_by(true);
    findings.row(input("ok"), probe.ok, Cause::Value, "true", probe.ok.to_string());
    match &probe.version {
        Some(seen) => version(findings, &input("version"), reading, seen.as_str()),
        None => findings.absent(input("version"), "the candidate's version"),
    }
    findings.equal(input("commit_sha"), &candidate.commit_sha, probe.commit_sha.as_ref());
    match (probe.replicas_matched, probe.replicas_total) {
        (Some(matched), Some(total)) => replicas(findings, &input("replicas_matched"), matched, total),
        _ => findings.absent(input("replicas_matched"), "all replicas"),
    }
    after_deployment(reading, findings, EnvironmentPurpose::Production, &input("at"), probe.at);
}

/// The endpoint says the candidate's tag without its v, or the version that the tag is a candidate of;
/// the commit tells candidates apart.
fn version(findings: &mut Findings, input: &str, reading: &Reading<'_>, seen: &str) {
    let seen_bare = seen.trim_start_matches('v');
    let of_release = reading.version().is_some_and(|version| version.as_str() == seen_bare);
    let holds = of_release || reading.is_candidate_version(seen_bare);
    let expected = reading.candidate_version().unwrap_or_default();
    findings.row(input, holds, Cause::Mismatch, expected, seen);
}

fn replicas(findings: &mut Findings, input: &str, matched: u32, total: u32) {
    if total == 0 {
        return findings.row(input, false, Cause::Empty, "at least one replica", "0 of 0");
    }
    findings.row(
        input,
        matched == total,
        Cause::Mismatch,
        format!("{total} of {total}"),
        format!("{matched} of {total}"),
    );
}

/// What was seen before the last deployment says nothing about it.
pub fn after_deployment(
    reading: &Reading<'_>,
    findings: &mut Findings,
    purpose: EnvironmentPurpose,
    input: &str,
    at: jiff::Timestamp,
) {
    match reading.deployed(purpose) {
        Some(deployed) => {
            let since = deployed.since();
            findings.row(input, at >= since, Cause::Stale, format!("not before {since}"), at.to_string());
        }
        None => findings.absent(input, format!("after a deployment to {}", purpose.as_str())),
    }
}

/// The old version receives nothing.
fn full_traffic(reading: &Reading<'_>, findings: &mut Findings) {
    let weight = reading.release.in_production().and_then(|deployment| deployment.weight.as_ref());
    if let Some(weight) = weight {
        let all = weight.percent >= 100.0;
        findings.row("deployment/weight", all, Cause::Value, "100 %", format!("{} %", weight.percent));
    }
}
