//! 7.5: the ticket of the release is done, links to it, and has no open child.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TicketClosed {}

impl Judge for TicketClosed {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Ticket])
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(id) = reading.release.id() else { return };
        let Some(ticket) = reading.latest(of::Ticket) else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::Ticket,
                format!("the ticket of {id}"),
            );
        };
        findings.rest_on(ticket.evidence);
        findings.equal(ticket.at("done"), &true, ticket.done.as_ref());
        let linked = ticket.release.as_ref().map(|release| release.as_str());
        findings.equal(ticket.at("release"), id.as_str(), linked);
        findings
            .checked(ticket.at("open_children"), ticket.open_children, Cause::Value, "0", |open| *open == 0);
        // Closed before production was verified is closed too early.
        let verified = reading.release.gates.get(&reading.number().step().saturating_sub(1));
        if let Some(gate) = verified.filter(|gate| gate.verdict.satisfied) {
            let expected = format!("not before {}", gate.at);
            findings.checked(ticket.at("at"), ticket.at, Cause::Stale, expected, |at| *at >= gate.at);
        }
    }
}
