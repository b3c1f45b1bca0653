//! 7.3: the release notes can be read, name the version, and say what breaks.

use serde::{Deserialize, Serialize};

use super::breaking_changes_documented::known_breaks;
use super::notes_drafted::names;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, PublicationStatus, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NotesPublished {}

impl Judge for NotesPublished {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Publication])
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(notes) = reading.latest(of::Publication) else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::Publication,
                "the published release notes",
            );
        };
        findings.rest_on(notes.evidence);
        let url = notes.evidence.recorded.url.as_ref();
        findings.checked(notes.beside("url"), url, Cause::Value, "where they can be read", |_| true);
        let sha = notes.evidence.recorded.sha256.as_ref();
        findings.checked(notes.beside("sha256"), sha, Cause::Value, "the hash of their text", |_| true);
        findings.checked(notes.at("http_status"), notes.http_status, Cause::Value, "200", |status| {
            *status == 200
        });
        let status = if notes.status == PublicationStatus::Published { "published" } else { "draft" };
        findings.row(notes.at("status"), status == "published", Cause::Value, "published", status);
        if let Some(version) = reading.version() {
            let seen = notes.version.as_str().trim_start_matches('v');
            findings.equal(notes.at("version"), version.as_str(), Some(seen));
        }
        for change in known_breaks(reading) {
            names(findings, &notes.at("mentions"), notes.mentions.as_deref(), change.key.as_str());
        }
    }
}
