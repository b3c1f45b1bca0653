//! 1.2: every manifest states the version, which is after the previous one by the step that breaking
//! changes call for.

use serde::{Deserialize, Serialize};

use super::breaking_changes_documented::known_count;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::EvidenceKind;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct VersionNumbers {
    /// A manifest may say X.Y.Z-rc.N of the candidate instead of X.Y.Z.
    pub candidate_suffix: bool,
}

impl Judge for VersionNumbers {
    fn reads(&self) -> Reads {
        let kinds = [EvidenceKind::Commit, EvidenceKind::Document, EvidenceKind::Declaration];
        Reads::of(&kinds).and(Reads::CANDIDATE).and(Reads::RELEASE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let (Some(version), Some(candidate)) = (reading.version(), reading.candidate()) else {
            return findings.absent("candidate", "a tagged commit");
        };
        order(reading, findings);
        let with_manifests = |facts: &crate::evidence::CommitFacts| facts.manifests.is_some();
        let Some(commit) = reading.latest_commit(with_manifests) else {
            return findings.no_evidence(reading.number(), EvidenceKind::Commit, "what each manifest says");
        };
        findings.rest_on(commit.evidence);
        findings.equal(commit.at("commit_sha"), &candidate.commit_sha, Some(&commit.commit_sha));
        let manifests = commit.manifests.as_deref().unwrap_or_default();
        if manifests.is_empty() {
            return findings.row(
                commit.at("manifests"),
                false,
                Cause::Empty,
                "at least one manifest",
                "none",
            );
        }
        for listed in reading.settings.manifests.iter() {
            if !manifests.iter().any(|manifest| manifest.path == listed.path) {
                findings.absent(commit.at(format_args!("manifests/{}", listed.path)), version.to_string());
            }
        }
        for manifest in manifests {
            let value = manifest.value.as_str();
            let suffixed = self.candidate_suffix && reading.candidate_version() == Some(value);
            let holds = suffixed || value == version.as_str();
            let input = commit.at(format_args!("manifests/{}", manifest.path));
            findings.row(input, holds, Cause::Mismatch, version.to_string(), value);
        }
    }
}

fn order(reading: &Reading<'_>, findings: &mut Findings) {
    let (Some(version), Some(previous)) = (reading.version(), reading.previous()) else { return };
    let (new, old) = (version.semver(), previous.semver());
    findings.row(
        "release/version",
        new > old,
        Cause::Value,
        format!("after {previous}"),
        version.to_string(),
    );
    let breaks = known_count(reading);
    if breaks > 0 && old.major >= 1 {
        let expected = format!("{}.0.0 or later, as {breaks} breaking changes call for", old.major + 1);
        findings.row("release/version", new.major > old.major, Cause::Value, expected, version.to_string());
    }
}
