//! 6.9: nothing calls for going back: the other items of the step are closed, and no rule fired.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RollbackNotNeeded {}

impl Judge for RollbackNotNeeded {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Declaration]).and(Reads::ITEMS).and(Reads::ROLLBACK).and(Reads::DEPLOYMENT)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some((deployment, _)) = reading.full_rollout() else {
            return findings.absent("deployment/finished_at", "a deployment that succeeded");
        };
        match reading.latest(of::Declaration) {
            Some(statement) => findings.rest_on_statement(statement.evidence),
            None => findings.no_evidence(reading.number(), EvidenceKind::Declaration, "what was looked at"),
        }
        let step = reading.procedure.step(reading.number().step());
        for item in
            step.into_iter().flat_map(|step| &step.items).filter(|item| item.number != reading.number())
        {
            let status = reading.release.status(item.number);
            findings.row(
                format!("item/{}", item.number),
                status.is_closed(),
                Cause::Value,
                "closed",
                status.as_str(),
            );
        }
        let id = deployment.deployment;
        let fired = reading.release.triggers.iter().filter(|trigger| trigger.is_about(deployment));
        let rules: Vec<_> = fired.map(|trigger| trigger.rule.to_string()).collect();
        let observed = if rules.is_empty() { "none".to_owned() } else { rules.join(" ") };
        findings.row(format!("deployment/{id}/triggers"), rules.is_empty(), Cause::Value, "none", observed);
        let proposals = reading.release.proposals.iter().filter(|proposal| proposal.is_about(deployment));
        let open = proposals.filter(|proposal| proposal.decided().is_none()).count();
        findings.row("rollback/proposals", open == 0, Cause::Value, "none open", format!("{open} open"));
    }
}
