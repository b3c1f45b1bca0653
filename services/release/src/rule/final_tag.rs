//! 7.2: the final tag is new, annotated, and on the commit that was deployed.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, SignatureStatus, of};
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FinalTag {
    /// The tag; `{version}` stands for the release's version.
    pub tag: Line,
}

impl Judge for FinalTag {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::SemverTag]).and(Reads::DEPLOYMENT).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let version = reading.version().map(ToString::to_string).unwrap_or_default();
        let name = self.tag.as_str().replace("{version}", &version);
        let deployed = reading.release.in_production().and_then(|deployment| deployment.candidate);
        let Some(candidate) = deployed.and_then(|number| reading.release.candidate(number)) else {
            return findings.absent("deployment/candidate", "the candidate that was deployed");
        };
        let all = reading.all(of::SemverTag);
        let named: Vec<_> = all.iter().filter(|tag| tag.name.as_str() == name).collect();
        let Some(tag) = named.last() else {
            return match all.last() {
                Some(other) if other.name.as_str() != candidate.tag.as_str() => {
                    findings.row(other.at("name"), false, Cause::Mismatch, name, other.name.to_string());
                }
                _ => findings.no_evidence(reading.number(), EvidenceKind::SemverTag, name),
            };
        };
        findings.rest_on(tag.evidence);
        findings.equal(tag.at("annotated"), &true, tag.annotated.as_ref());
        if tag.signature == Some(SignatureStatus::Invalid) {
            findings.row(tag.at("signature"), false, Cause::Value, "valid or none", "invalid");
        }
        // Another commit with the very same files is the same thing.
        let is_tag = |rule: &super::Rule| matches!(rule, super::Rule::TagIntact(_));
        let tags =
            reading.item_of(is_tag).map(|item| reading.of_item(item).all(of::SemverTag)).unwrap_or_default();
        let tree = tags
            .iter()
            .rev()
            .find(|t| t.commit_sha == candidate.commit_sha)
            .and_then(|t| t.tree_sha.as_ref());
        let same_tree = tree.is_some() && tag.tree_sha.as_ref() == tree;
        let holds = tag.commit_sha == candidate.commit_sha || same_tree;
        let expected = format!("{}, which was deployed", candidate.commit_sha);
        findings.row(tag.at("commit_sha"), holds, Cause::Mismatch, expected, tag.commit_sha.to_string());
        if let Some(other) = named.iter().find(|other| other.tag_object_sha != tag.tag_object_sha) {
            let expected = other.tag_object_sha.to_string();
            findings.row(
                tag.at("tag_object_sha"),
                false,
                Cause::Mismatch,
                expected,
                tag.tag_object_sha.to_string(),
            );
        }
    }
}
