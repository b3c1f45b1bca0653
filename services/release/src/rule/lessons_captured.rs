//! 7.7: what was learned is written down, with an action for everything that went another way.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::release::WaiverStatus;
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LessonsCaptured {
    /// What the document has to have.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Line>, max_items = 20))]
    pub sections: Vec<Line>,
}

impl Judge for LessonsCaptured {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Document, EvidenceKind::Ticket])
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(document) = reading.latest(of::Document) else {
            return findings.no_evidence(reading.number(), EvidenceKind::Document, "what was learned");
        };
        findings.rest_on(document.evidence);
        let sha = document.evidence.recorded.sha256.as_ref();
        findings.checked(document.beside("sha256"), sha, Cause::Value, "the hash of its text", |_| true);
        for section in &self.sections {
            let input = document.at(format_args!("sections/{section}"));
            match document.sections.as_deref() {
                None => findings.absent(input, section.to_string()),
                Some(sections) => {
                    let observed = format!("{} sections", sections.len());
                    findings.row(
                        input,
                        sections.contains(section),
                        Cause::Value,
                        section.to_string(),
                        observed,
                    );
                }
            }
        }
        let waived = reading.release.waivers.values().filter(|waiver| {
            matches!(waiver.status, WaiverStatus::Granted { .. } | WaiverStatus::Expired { .. })
                && !waiver.grants.is_empty()
        });
        let needed = waived.count() + reading.release.rollbacks.len();
        let tickets = reading.all(of::Ticket);
        let mut keys: Vec<_> = tickets.iter().map(|ticket| ticket.key.as_str()).collect();
        keys.sort_unstable();
        keys.dedup();
        for ticket in &tickets {
            findings.rest_on_statement(ticket.evidence);
        }
        if needed > 0 {
            let input = format!("item/{}/evidence/ticket", reading.number());
            let cause = if keys.is_empty() { Cause::Absent } else { Cause::Value };
            let expected = format!("at least {needed}, one for each waiver and rollback");
            findings.row(input, keys.len() >= needed, cause, expected, keys.len().to_string());
        }
    }
}
