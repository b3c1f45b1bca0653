//! 1.7: a draft of the release notes can be opened and names the version and every breaking change.

use serde::{Deserialize, Serialize};

use super::breaking_changes_documented::known_breaks;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, PublicationStatus, of};
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NotesDrafted {}

impl Judge for NotesDrafted {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Document, EvidenceKind::Commit]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(draft) = reading.latest(of::Document) else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::Document,
                "a draft of the release notes",
            );
        };
        findings.rest_on(draft.evidence);
        let url = draft.evidence.recorded.url.as_ref();
        findings.checked(draft.beside("url"), url, Cause::Value, "where the draft is", |_| true);
        let status =
            draft.status.map(|status| if status == PublicationStatus::Draft { "draft" } else { "published" });
        findings.equal(draft.at("status"), "draft", status);
        if draft.bytes == Some(0) {
            findings.row(draft.at("bytes"), false, Cause::Empty, "at least 1", "0");
        }
        let version = reading.version().map(ToString::to_string).unwrap_or_default();
        names(findings, &draft.at("mentions"), draft.mentions.as_deref(), &version);
        for change in known_breaks(reading) {
            names(findings, &draft.at("mentions"), draft.mentions.as_deref(), change.key.as_str());
        }
    }
}

/// The text names it; what it names was not told at all is absent.
pub fn names(findings: &mut Findings, input: &str, mentions: Option<&[Line]>, wanted: &str) {
    match mentions {
        None => findings.absent(input, wanted),
        Some(mentions) => {
            let found = mentions.iter().any(|mention| mention.as_str() == wanted);
            let cause = if mentions.is_empty() { Cause::Empty } else { Cause::Value };
            let observed =
                if found { wanted.to_owned() } else { format!("not among {} names", mentions.len()) };
            findings.row(input, found, cause, wanted, observed);
        }
    }
}
