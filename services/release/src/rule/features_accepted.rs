//! 3.4: every feature of the release meets each of its acceptance criteria, tested by somebody else than
//! who made it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{CommitFacts, EvidenceKind, of};
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct FeaturesAccepted {}

fn lists_features(facts: &CommitFacts) -> bool {
    facts.features.is_some()
}

/// The features in the range, as the query for tickets gave them.
pub fn features<'a>(reading: &Reading<'a>) -> Option<&'a [Line]> {
    let own = reading.latest_commit(lists_features);
    let is_rule = |rule: &super::Rule| matches!(rule, super::Rule::FeaturesAccepted(_));
    let commit = own.or_else(|| {
        let item = reading.item_of(is_rule)?;
        reading.of_item(item).latest_commit(lists_features)
    })?;
    commit.facts().features.as_deref()
}

/// The row that shows that there is no feature.
pub fn no_features(reading: &Reading<'_>, findings: &mut Findings) -> bool {
    match features(reading) {
        Some(features) => {
            let count = features.len().to_string();
            findings.row("release/features", features.is_empty(), Cause::Value, "0", count);
        }
        None => findings.no_evidence(reading.number(), EvidenceKind::Commit, "a query that finds no feature"),
    }
    true
}

impl Judge for FeaturesAccepted {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Ticket, EvidenceKind::Commit]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(features) = features(reading) else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::Commit,
                "the features of the release",
            );
        };
        if let Some(commit) = reading.latest_commit(lists_features) {
            findings.rest_on(commit.evidence);
        }
        if features.is_empty() {
            return findings.row("release/features", true, Cause::Empty, "each accepted", "0");
        }
        let tickets = reading.all(of::Ticket);
        let latest: BTreeMap<_, _> = tickets.iter().map(|ticket| (ticket.key.as_str(), ticket)).collect();
        for feature in features {
            let Some(ticket) = latest.get(feature.as_str()) else {
                let input = format!("item/{}/evidence/ticket/{feature}", reading.number());
                findings.absent(input, "its acceptance criteria");
                continue;
            };
            findings.rest_on(ticket.evidence);
            match (ticket.criteria_total, ticket.criteria_passed) {
                (Some(total), Some(passed)) => {
                    let cause = if total == 0 { Cause::Empty } else { Cause::Value };
                    let holds = total > 0 && passed >= total;
                    findings.row(
                        ticket.at("criteria_passed"),
                        holds,
                        cause,
                        total.to_string(),
                        passed.to_string(),
                    );
                }
                _ => findings.absent(ticket.at("criteria_passed"), "every criterion"),
            }
            let others = ticket.tester.as_ref().zip(ticket.implementer.as_ref());
            match others {
                Some((tester, implementer)) => {
                    let expected = format!("not {implementer}");
                    findings.row(
                        ticket.at("tester"),
                        tester != implementer,
                        Cause::Mismatch,
                        expected,
                        tester.to_string(),
                    );
                }
                None => findings.absent(ticket.at("tester"), "somebody else than its implementer"),
            }
            if ticket.done == Some(false) {
                findings.row(ticket.at("done"), false, Cause::Value, "true", "false");
            }
        }
    }

    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        no_features(reading, findings)
    }
}
