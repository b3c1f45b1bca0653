//! 4.6: for every role of the team somebody confirmed to be there for the window and after it.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::actor::Role;
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TeamAvailable {
    pub after_window_s: u32,
}

impl Judge for TeamAvailable {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Availability]).and(Reads::WINDOW).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(window) = reading.release.open_window() else {
            return findings.absent("window", "the window to be available for");
        };
        let until = window.to + SignedDuration::from_secs(self.after_window_s.into());
        let said = reading.all(of::Availability);
        let latest: BTreeMap<_, _> =
            said.iter().map(|one| ((one.role.as_str(), one.person.as_str()), one)).collect();
        let mut roles = reading.procedure.roll_call.clone();
        let migrates = reading.candidate().is_some_and(|candidate| candidate.migration_set_digest.is_some());
        if migrates && !reading.settings.databases.is_empty() {
            roles.push(Role::Dba);
        }
        for role in roles {
            let wanted = if role == Role::Dba { vec!["dba", "operator"] } else { vec![role.as_str()] };
            let covers = |one: &super::reading::Read<'_, crate::evidence::Availability>| {
                one.from <= window.from
                    && one.to >= until
                    && one.confirmed == Some(true)
                    && one.withdrawn != Some(true)
            };
            let held: Vec<_> =
                latest.iter().filter(|((held, _), _)| wanted.contains(held)).map(|(_, one)| one).collect();
            let expected = format!("{} from {} to {until}", role.as_str(), window.from);
            let Some(best) = held.iter().find(|one| covers(one)).or(held.last()) else {
                let input = format!("item/{}/evidence/availability/{}", reading.number(), role.as_str());
                findings.absent(input, expected);
                continue;
            };
            findings.rest_on(best.evidence);
            let span = best.from <= window.from && best.to >= until;
            let observed = format!("{} from {} to {}", best.person, best.from, best.to);
            findings.row(best.at("to"), span, Cause::Value, expected, observed);
            findings.equal(best.at("confirmed"), &true, best.confirmed.as_ref());
            if best.withdrawn == Some(true) {
                findings.row(best.at("withdrawn"), false, Cause::Value, "false", "true");
            }
        }
    }
}
