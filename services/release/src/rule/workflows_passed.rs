//! 1.6: the latest completed run of every required workflow on the candidate's commit succeeded, and
//! built what the candidate is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::deployed::listed;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{CiRun, Conclusion, EvidenceKind, of};
use crate::release::same_artifacts;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WorkflowsPassed {}

pub fn word(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
        Conclusion::Cancelled => "cancelled",
        Conclusion::TimedOut => "timed_out",
        Conclusion::Skipped => "skipped",
    }
}

impl Judge for WorkflowsPassed {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::CiRun]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(candidate) = reading.candidate() else {
            return findings.absent("candidate", "a tagged commit");
        };
        if !candidate.is_bound() {
            findings
                .absent(format!("candidate/{}/artifacts", candidate.number), "the artifacts that were built");
        }
        let mut runs = reading.all(of::CiRun);
        runs.sort_by_key(|run| {
            (run.completed_at.unwrap_or(run.occurred_at()), run.attempt, run.evidence.revision)
        });
        let of_run = |run: &CiRun| reading.candidate_at(Some(&run.head_sha)).unwrap_or(candidate);
        let here = |run: &CiRun| run.head_sha == of_run(run).commit_sha;
        let mut latest = BTreeMap::new();
        for run in &runs {
            let known = latest
                .get(run.workflow.as_str())
                .is_some_and(|known: &&super::reading::Read<'_, CiRun>| here(known));
            if here(run) || !known {
                latest.insert(run.workflow.as_str(), run);
            }
        }
        let required = &reading.settings.required_workflows;
        for workflow in required.iter().filter(|workflow| !latest.contains_key(workflow.as_str())) {
            let input = format!("item/{}/evidence/ci_run/{workflow}", reading.number());
            findings.absent(input, format!("a successful run of {workflow}"));
        }
        if required.is_empty() && latest.is_empty() {
            findings.no_evidence(reading.number(), EvidenceKind::CiRun, "a successful run");
        }
        for (_, run) in latest
            .iter()
            .filter(|(name, _)| required.is_empty() || required.iter().any(|r| r.as_str() == **name))
        {
            findings.rest_on(run.evidence);
            let candidate = of_run(run);
            findings.equal(run.at("head_sha"), &candidate.commit_sha, Some(&run.head_sha));
            let attempts =
                if run.attempt > 1 { format!(" on attempt {}", run.attempt) } else { String::new() };
            let success = run.conclusion == Conclusion::Success;
            let observed = format!("{}{attempts}", word(run.conclusion));
            findings.row(run.at("conclusion"), success, Cause::Value, "success", observed);
            if let Some(built) = run.artifacts.as_deref().filter(|_| candidate.is_bound()) {
                let same = same_artifacts(built, &candidate.artifacts)
                    || built.iter().all(|one| candidate.artifacts.contains(one));
                let (expected, observed) = (listed(&candidate.artifacts), listed(built));
                findings.row(run.at("artifacts"), same, Cause::Mismatch, expected, observed);
            }
        }
        let told = latest.values().any(|run| run.artifacts.as_ref().is_some_and(|built| !built.is_empty()));
        if !told && !latest.is_empty() {
            let input = format!("item/{}/evidence/ci_run/artifacts", reading.number());
            findings.absent(input, "the artifacts that were built");
        }
    }
}
