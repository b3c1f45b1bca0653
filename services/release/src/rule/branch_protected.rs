//! 1.1: the branch of the release exists in the registered repository and is protected.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BranchProtected {
    /// The branch; `{version}` stands for the release's version.
    pub branch: Line,
}

impl BranchProtected {
    pub fn name(&self, reading: &Reading<'_>) -> String {
        let version = reading.version().map(ToString::to_string).unwrap_or_default();
        self.branch.as_str().replace("{version}", &version)
    }
}

impl Judge for BranchProtected {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::GitRef]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let name = self.name(reading);
        let Some(branch) = reading.latest(of::GitRef) else {
            return findings.no_evidence(reading.number(), EvidenceKind::GitRef, name);
        };
        findings.rest_on(branch.evidence);
        let short = branch.ref_name.as_str().trim_start_matches("refs/heads/");
        findings.equal(branch.at("ref_name"), name.as_str(), Some(short));
        if let Some(repository) = &reading.settings.repository {
            let url = repository.url.as_str().trim_end_matches('/').trim_end_matches(".git");
            let given = branch.repository.as_str().trim_end_matches('/').trim_end_matches(".git");
            let same = url == given
                || url.ends_with(&format!("/{given}"))
                || repository.provider_id.as_ref() == Some(&branch.repository);
            findings.row(branch.at("repository"), same, Cause::Mismatch, url, branch.repository.to_string());
        }
        findings.row(
            branch.at("deleted"),
            branch.deleted != Some(true),
            Cause::Value,
            "false",
            branch.deleted.unwrap_or(false).to_string(),
        );
        let base = branch.base_sha.as_ref();
        findings
            .checked(branch.at("base_sha"), base, Cause::Value, "where it left its base branch", |_| true);
        findings.equal(branch.at("protected"), &true, branch.protected.as_ref());
        if branch.contains_candidate == Some(false) {
            let expected = "the candidate's commit is on the branch";
            findings.row(branch.at("contains_candidate"), false, Cause::Mismatch, expected, "false");
        }
    }
}
