//! What makes a standard change small enough for the approval that its procedure was given once and for all:
//! no migration, no breaking change, few changes.

use super::breaking_changes_documented::known_count;
use super::{Findings, Judge as _, Reading, Rule};
use crate::event::EnvironmentPurpose;
use crate::value::Name;
use crate::verdict::Cause;

pub fn low_risk(reading: &Reading<'_>, changes_max: u32) -> Findings {
    let mut findings = Findings::about("standing_approval", Name::default_target());
    for item in reading.procedure.items() {
        for rule in item.rules() {
            if let Rule::MigrationsApplied(rule) = rule
                && rule.purpose == EnvironmentPurpose::Staging
            {
                rule.not_applicable(&reading.of_item(item), &mut findings);
            }
        }
    }
    let breaks = known_count(reading);
    findings.row("breaking_changes", breaks == 0, Cause::Value, "none", breaks.to_string());
    let changelog = reading.item_of(|rule| matches!(rule, Rule::ChangelogCovers(_)));
    let counted =
        changelog.and_then(|item| reading.of_item(item).latest_commit(|commit| commit.changes.is_some()));
    let merged = counted.as_ref().and_then(|commit| commit.changes.as_ref()).map(|changes| changes.merged);
    let expected = format!("at most {changes_max}");
    findings.checked("changes/merged", merged, Cause::Value, expected, |merged| *merged <= changes_max);
    findings
}
