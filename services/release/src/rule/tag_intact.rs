//! 1.5: the tag of the candidate names what it named when it was tagged, and never another object.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, SignatureStatus, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TagIntact {
    /// The tag has to carry a valid signature.
    pub signed: bool,
}

impl Judge for TagIntact {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::SemverTag]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(candidate) = reading.candidate() else {
            return findings.absent("candidate", "a candidate");
        };
        if let Some(moved) = &candidate.mutated {
            let input = format!("candidate/{}/tag_object_sha", candidate.number);
            let expected = candidate.tag_object_sha.to_string();
            let names = moved.tag_object_sha.as_ref().map_or("deleted".into(), ToString::to_string);
            findings.row(input, false, Cause::Mismatch, expected, format!("{names} at {}", moved.at));
        }
        let mut tags = reading.all(of::SemverTag);
        tags.retain(|tag| tag.name.as_str() == candidate.tag.as_str());
        let Some(tag) = tags.pop() else {
            let expected = format!("the tag {}", candidate.tag);
            return match reading.latest(of::SemverTag) {
                Some(other) => {
                    findings.row(other.at("name"), false, Cause::Mismatch, expected, other.name.to_string())
                }
                None => findings.no_evidence(reading.number(), EvidenceKind::SemverTag, expected),
            };
        };
        findings.rest_on(tag.evidence);
        findings.equal(tag.at("tag_object_sha"), &candidate.tag_object_sha, Some(&tag.tag_object_sha));
        findings.equal(tag.at("commit_sha"), &candidate.commit_sha, Some(&tag.commit_sha));
        findings.equal(tag.at("annotated"), &true, tag.annotated.as_ref());
        let head = tag.branch_head_sha.as_ref();
        findings.equal(tag.at("branch_head_sha"), &candidate.commit_sha, head);
        if self.signed {
            let valid = tag.signature.map(|signature| signature == SignatureStatus::Valid);
            findings.checked(tag.at("signature"), valid, Cause::Value, "valid", |valid| *valid);
        } else if tag.signature == Some(SignatureStatus::Invalid) {
            findings.row(tag.at("signature"), false, Cause::Value, "valid or none", "invalid");
        }
    }
}
