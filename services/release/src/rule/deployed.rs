//! 2.1: the candidate, by its digests, is what was deployed last, and by which pipeline is recorded.

use serde::{Deserialize, Serialize};

use super::reading::Shown;
use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::EvidenceKind;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Deployed {
    pub purpose: EnvironmentPurpose,
}

impl Judge for Deployed {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Deployment]).and(Reads::CANDIDATE).and(Reads::DEPLOYMENT)
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(candidate) = reading.candidate() else {
            return findings.absent("candidate", "a candidate");
        };
        if !candidate.is_bound() {
            findings
                .absent(format!("candidate/{}/artifacts", candidate.number), "the artifacts that were built");
        }
        let Some(seen) = reading.deployed(self.purpose) else {
            let expected = format!("a deployment to {}", self.purpose.as_str());
            return findings.no_evidence(reading.number(), EvidenceKind::Deployment, expected);
        };
        match seen.shown_by {
            Shown::Report(evidence) => findings.rest_on(evidence),
            Shown::Record { by_machine } => findings.seen_by(by_machine),
        }
        let candidate = reading.candidate_at(seen.commit_sha).unwrap_or(candidate);
        findings.row(seen.at("status"), seen.succeeded, Cause::Value, "succeeded", seen.status);
        if let Some(commit) = seen.commit_sha {
            findings.equal(seen.at("commit_sha"), &candidate.commit_sha, Some(commit));
        }
        match seen.artifacts {
            None => findings.absent(seen.at("artifacts"), "the artifacts of the candidate"),
            Some([]) => findings.row(
                seen.at("artifacts"),
                false,
                Cause::Empty,
                "the artifacts of the candidate",
                "none",
            ),
            Some(deployed) => {
                let ours = match reading.target {
                    Some(target) => candidate.build().artifacts_of(target, reading.settings),
                    None => candidate.artifacts.clone(),
                };
                // A report on one target may leave out what runs on others.
                let same = deployed.iter().all(|one| candidate.artifacts.contains(one))
                    && ours.iter().all(|one| deployed.contains(one));
                findings.row(seen.at("artifacts"), same, Cause::Mismatch, listed(&ours), listed(deployed));
            }
        }
        let started = seen.started_at >= candidate.tagged_at;
        let expected = format!("not before {}", candidate.tagged_at);
        findings.row(seen.at("started_at"), started, Cause::Stale, expected, seen.started_at.to_string());
        match (seen.pipeline_digest, &candidate.pipeline_digest) {
            (None, _) => findings.absent(seen.at("pipeline_digest"), "the digest of the pipeline"),
            (given, Some(bound)) => findings.equal(seen.at("pipeline_digest"), bound, given),
            (Some(given), None) => {
                findings.row(seen.at("pipeline_digest"), true, Cause::Value, "recorded", given.to_string());
            }
        }
    }
}

pub fn listed(artifacts: &[crate::evidence::Artifact]) -> String {
    artifacts.iter().map(|a| format!("{}@{}", a.name, a.digest)).collect::<Vec<_>>().join(" ")
}
