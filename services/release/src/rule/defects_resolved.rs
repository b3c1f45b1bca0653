//! 3.7: every defect is fixed in the candidate or deferred by those who may, and no code came after it.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::actor::Role;
use crate::evidence::{CommitFacts, Defect, DefectStatus, EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DefectsResolved {}

impl Judge for DefectsResolved {
    fn reads(&self) -> Reads {
        let kinds = [EvidenceKind::DefectSet, EvidenceKind::Commit, EvidenceKind::Declaration];
        Reads::of(&kinds).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(candidate) = reading.candidate() else {
            return findings.absent("candidate", "a candidate");
        };
        let Some(set) = reading.latest(of::DefectSet) else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::DefectSet,
                "the defects that were found",
            );
        };
        findings.rest_on(set.evidence);
        for defect in set.defects.iter() {
            judge_one(
                defect,
                &|member| set.at(format_args!("defects/{}/{member}", defect.key)),
                candidate.number,
                findings,
            );
        }
        if set.defects.is_empty() {
            // Nothing found is a statement, and somebody makes it.
            let mut statements = reading.all(of::Declaration);
            statements.retain(|statement| statement.evidence.by.roles.contains(&Role::Qa));
            match statements.pop() {
                Some(statement) => {
                    findings.rest_on_statement(statement.evidence);
                    let count = statement.count;
                    findings.checked(statement.at("count"), count, Cause::Mismatch, "0", |count| *count == 0);
                }
                None => findings.no_evidence(
                    reading.number(),
                    EvidenceKind::Declaration,
                    "QA's word that 0 were found",
                ),
            }
        }
        let tells = |facts: &CommitFacts| facts.code_commits_after.is_some();
        match reading.latest_commit(tells) {
            Some(commit) => {
                findings.rest_on(commit.evidence);
                findings.equal(commit.at("commit_sha"), &candidate.commit_sha, Some(&commit.commit_sha));
                let after = commit.code_commits_after;
                findings
                    .checked(commit.at("code_commits_after"), after, Cause::Value, "0", |after| *after == 0);
            }
            None => {
                findings.no_evidence(reading.number(), EvidenceKind::Commit, "what came after the candidate")
            }
        }
    }
}

fn judge_one(defect: &Defect, at: &dyn Fn(&str) -> String, candidate: u32, findings: &mut Findings) {
    match defect.status {
        DefectStatus::Open => findings.row(at("status"), false, Cause::Value, "fixed or deferred", "open"),
        DefectStatus::Fixed => {
            findings.checked(
                at("fix_sha"),
                defect.fix_sha.as_ref(),
                Cause::Value,
                "the commit of the fix",
                |_| true,
            );
            findings.equal(at("contained"), &true, defect.contained.as_ref());
            if let Some(fixed_in) = defect.fixed_in {
                let found = defect.found_in.unwrap_or(0);
                let later = fixed_in > found && fixed_in <= candidate;
                let expected = format!("a candidate after rc.{found}, up to rc.{candidate}");
                findings.row(at("fixed_in"), later, Cause::Value, expected, format!("rc.{fixed_in}"));
            }
        }
        DefectStatus::Deferred => {
            let by = defect.deferred_by.as_deref();
            for role in [Role::ReleaseManager, Role::ProductOwner] {
                let input = at(&format!("deferred_by/{}", role.as_str()));
                match by {
                    None => findings.absent(input, "deferred by both"),
                    Some(by) => {
                        let signed = by.iter().any(|who| who.as_str() == role.as_str());
                        findings.row(
                            input,
                            signed,
                            Cause::Value,
                            "deferred by both",
                            format!("{} roles", by.len()),
                        );
                    }
                }
            }
        }
    }
}
