//! 1.4: every breaking change has its documentation, or it is shown or signed that there is none.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{BreakingChange, CommitFacts, EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BreakingChangesDocumented {}

fn compared(facts: &CommitFacts) -> bool {
    facts.breaking_changes.is_some()
}

/// What comparing commits and schemas found at the candidate's commit.
pub fn known_breaks<'a>(reading: &Reading<'a>) -> Vec<&'a BreakingChange> {
    let is_rule = |rule: &super::Rule| matches!(rule, super::Rule::BreakingChangesDocumented(_));
    let Some(item) = reading.item_of(is_rule) else { return Vec::new() };
    let Some(commit) = reading.of_item(item).latest_commit(compared) else { return Vec::new() };
    commit.facts().breaking_changes.as_deref().unwrap_or_default().iter().collect()
}

/// How many there are, by comparison or by declaration.
pub fn known_count(reading: &Reading<'_>) -> usize {
    let is_rule = |rule: &super::Rule| matches!(rule, super::Rule::BreakingChangesDocumented(_));
    let declared = reading.item_of(is_rule).and_then(|item| reading.of_item(item).latest(of::Declaration));
    let count = declared.and_then(|declared| declared.count).unwrap_or(0);
    known_breaks(reading).len().max(usize::try_from(count).unwrap_or(usize::MAX))
}

impl Judge for BreakingChangesDocumented {
    fn reads(&self) -> Reads {
        let kinds = [EvidenceKind::Commit, EvidenceKind::Document, EvidenceKind::Declaration];
        Reads::of(&kinds).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let documents = reading.all(of::Document);
        let declared = reading.latest(of::Declaration);
        let comparison = reading.latest_commit(compared);
        let Some(commit) = comparison else {
            return declared_alone(reading, findings);
        };
        findings.rest_on(commit.evidence);
        if let Some(candidate) = reading.candidate() {
            findings.equal(commit.at("commit_sha"), &candidate.commit_sha, Some(&commit.commit_sha));
        }
        let breaks = commit.breaking_changes.as_deref().unwrap_or_default();
        if let Some(declaration) = declared.filter(|d| d.count == Some(0) && !breaks.is_empty()) {
            let found = breaks.len().to_string();
            findings.row(declaration.at("count"), false, Cause::Mismatch, found, "0");
        }
        let mut by_document = BTreeMap::new();
        for document in &documents {
            for key in document.mentions.as_deref().unwrap_or_default() {
                by_document.insert(key.as_str(), document);
            }
        }
        if breaks.is_empty() {
            findings.row(
                commit.at("breaking_changes"),
                true,
                Cause::Value,
                "none, or each documented",
                "none",
            );
        }
        for change in breaks {
            let at = |member: &str| commit.at(format_args!("breaking_changes/{}/{member}", change.key));
            if let Some(document) = by_document.get(change.key.as_str()) {
                findings.rest_on(document.evidence);
                let url = document.evidence.recorded.url.as_ref();
                findings.checked(document.beside("url"), url, Cause::Value, "its documentation", |_| true);
                let sha = document.evidence.recorded.sha256.as_ref();
                findings.checked(
                    document.beside("sha256"),
                    sha,
                    Cause::Value,
                    "the hash of its text",
                    |_| true,
                );
            } else {
                let url = change.documentation.as_ref();
                findings.checked(at("documentation"), url, Cause::Value, "a link or a document", |_| true);
            }
            findings.equal(at("migration_note"), &true, change.migration_note.as_ref());
        }
    }
}

/// Without a comparison two people sign what there is: that there is none, or the document of each.
fn declared_alone(reading: &Reading<'_>, findings: &mut Findings) {
    let Some(declaration) = reading.latest(of::Declaration) else {
        let expected = "a comparison with the previous version, or a declaration";
        return findings.no_evidence(reading.number(), EvidenceKind::Declaration, expected);
    };
    findings.rest_on_statement(declaration.evidence);
    let Some(count) = declaration.count else {
        return findings.absent(declaration.at("count"), "how many breaking changes there are");
    };
    let documents = reading.all(of::Document);
    for document in &documents {
        findings.rest_on(document.evidence);
    }
    let documented = documents.iter().map(|d| d.mentions.as_deref().map_or(1, <[_]>::len)).sum::<usize>();
    findings.row(
        declaration.at("count"),
        documented >= usize::try_from(count).unwrap_or(usize::MAX),
        Cause::Value,
        format!("at most {documented}, as many as are documented"),
        count.to_string(),
    );
}
