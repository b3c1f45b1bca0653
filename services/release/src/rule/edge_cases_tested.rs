//! 3.5: every new feature and every risk area has a case that was run, and every failure a defect.

use serde::{Deserialize, Serialize};

use super::features_accepted::features;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EdgeCasesTested {}

impl Judge for EdgeCasesTested {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::TestReport, EvidenceKind::Commit]).and(Reads::CANDIDATE)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let mut reports = reading.all(of::TestReport);
        // A suite has an item of its own.
        let suites: Vec<_> = reading
            .procedure
            .items()
            .flat_map(|item| item.rules())
            .filter_map(|rule| match rule {
                super::Rule::TestsPassed(tests) => Some(&tests.suite),
                _ => None,
            })
            .collect();
        reports.retain(|report| !suites.contains(&&report.suite));
        let Some(report) = reports.pop() else {
            return findings.no_evidence(
                reading.number(),
                EvidenceKind::TestReport,
                "counts of the cases that were run",
            );
        };
        findings.rest_on(report.evidence);
        let cause = if report.total == 0 { Cause::Empty } else { Cause::Value };
        findings.row(report.at("total"), report.total > 0, cause, "at least 1", report.total.to_string());
        let failures = report.failed.saturating_add(report.errored);
        if failures > 0 {
            let filed = report.filed;
            let expected = format!("{failures}, one for each failure");
            findings.checked(report.at("filed"), filed, Cause::Value, expected, |filed| *filed >= failures);
        }
        let areas = reading.settings.risk_areas.iter().map(|area| &area.name);
        let covered = report.covers.as_deref();
        for wanted in features(reading).unwrap_or_default().iter().chain(areas) {
            let input = report.at(format_args!("covers/{wanted}"));
            match covered {
                None => findings.absent(input, "at least one case"),
                Some(covered) => {
                    let observed = format!("{} areas", covered.len());
                    findings.row(
                        input,
                        covered.contains(wanted),
                        Cause::Value,
                        "at least one case",
                        observed,
                    );
                }
            }
        }
    }
}
