//! 7.1: the candidate's commit is in the main branch, by a reviewed change, and CI is green there.

use serde::{Deserialize, Serialize};

use super::workflows_passed::word;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{Conclusion, EvidenceKind, of};
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BranchMerged {
    pub into: Line,
    pub proof: MergeProof,
}

/// What shows that the branch is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MergeProof {
    /// The candidate's commit can be reached from the head of the main branch.
    Ancestor,
    /// The changes are there, as commits of their own.
    SameTree,
    PatchId,
}

impl Judge for BranchMerged {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::GitRef, EvidenceKind::CiRun]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let mut refs = reading.all(of::GitRef);
        refs.retain(|branch| {
            branch.ref_name.as_str().trim_start_matches("refs/heads/") == self.into.as_str()
        });
        let Some(main) = refs.pop() else {
            return findings.no_evidence(reading.number(), EvidenceKind::GitRef, self.into.to_string());
        };
        findings.rest_on(main.evidence);
        if self.proof == MergeProof::Ancestor {
            findings.equal(main.at("contains_candidate"), &true, main.contains_candidate.as_ref());
        }
        findings.checked(main.at("unmerged"), main.unmerged, Cause::Value, "0", |unmerged| *unmerged == 0);
        let request = main.pull_request.as_ref();
        findings.checked(main.at("pull_request"), request, Cause::Value, "the pull request", |_| true);
        findings.equal(main.at("reviewed"), &true, main.reviewed.as_ref());
        let mut runs = reading.all(of::CiRun);
        runs.retain(|run| run.head_sha == main.head_sha);
        match runs.pop() {
            Some(run) => {
                findings.rest_on(run.evidence);
                let green = run.conclusion == Conclusion::Success;
                findings.row(run.at("conclusion"), green, Cause::Value, "success", word(run.conclusion));
            }
            None => findings.no_evidence(
                reading.number(),
                EvidenceKind::CiRun,
                format!("a run on {}", main.head_sha),
            ),
        }
    }
}
