//! 1.3: the changelog has a section for the version that covers every change in the range.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::EvidenceKind;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangelogCovers {}

impl Judge for ChangelogCovers {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Commit]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(candidate) = reading.candidate() else {
            return findings.absent("candidate", "a tagged commit");
        };
        let tells = |facts: &crate::evidence::CommitFacts| {
            facts.changelog_section_sha256.is_some() || facts.changes.is_some()
        };
        let Some(commit) = reading.latest_commit(tells) else {
            let expected = "how the changelog covers the changes";
            return findings.no_evidence(reading.number(), EvidenceKind::Commit, expected);
        };
        findings.rest_on(commit.evidence);
        findings.equal(commit.at("commit_sha"), &candidate.commit_sha, Some(&commit.commit_sha));
        let section = commit.changelog_section_sha256.as_ref();
        let expected = "a section of this version";
        findings.checked(commit.at("changelog_section_sha256"), section, Cause::Value, expected, |_| true);
        if reading.previous().is_some() {
            let from = commit.range_from.as_ref();
            findings.checked(commit.at("range_from"), from, Cause::Value, "where the range begins", |_| true);
        }
        let Some(changes) = &commit.changes else {
            return findings.absent(commit.at("changes"), "merged, covered and exempt changes");
        };
        let named = u64::from(changes.covered) + u64::from(changes.exempt);
        findings.row(
            commit.at("changes/covered"),
            named >= u64::from(changes.merged),
            Cause::Value,
            format!("all {} merged changes covered or exempt", changes.merged),
            format!("{} covered, {} exempt", changes.covered, changes.exempt),
        );
        if let Some(missing) = changes.missing.as_deref().filter(|missing| !missing.is_empty()) {
            let list = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            findings.row(commit.at("changes/missing"), false, Cause::Value, "none", list);
        }
    }
}
