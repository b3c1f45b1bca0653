//! 3.1 and 3.2: the suite passed against the candidate, and did not shrink.

use serde::{Deserialize, Serialize};

use super::version_matches::after_deployment;
use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{EvidenceKind, of};
use crate::value::Line;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TestsPassed {
    pub suite: Line,
    pub tests_min: u32,
    /// How many tests it runs at least, of a hundred that the suite ran for the previous version.
    pub of_previous_percent: u32,
    /// How many of a hundred tests may be skipped.
    pub skipped_max_percent: u32,
    /// It runs against the candidate on staging, rather than in CI at its commit.
    pub on_staging: bool,
}

impl Judge for TestsPassed {
    fn reads(&self) -> Reads {
        let kinds = Reads::of(&[EvidenceKind::TestReport]).and(Reads::CANDIDATE);
        if self.on_staging {
            kinds.and(Reads::of(&[EvidenceKind::Deployment])).and(Reads::DEPLOYMENT)
        } else {
            kinds
        }
    }

    fn per_target(&self) -> bool {
        self.on_staging
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(candidate) = reading.candidate() else {
            return findings.absent("candidate", "a candidate");
        };
        let mut reports = reading.all(of::TestReport);
        reports.retain(|report| report.suite == self.suite);
        let Some(report) = reports.pop() else {
            let expected = format!("a report of the suite {}", self.suite);
            return findings.no_evidence(reading.number(), EvidenceKind::TestReport, expected);
        };
        findings.rest_on(report.evidence);
        let candidate = reading.candidate_at(report.head_sha.as_ref()).unwrap_or(candidate);
        let previous = reading.previous().is_some();
        let floor = report.previous_total.map_or(self.tests_min, |before| {
            self.tests_min.max(
                (u64::from(before) * u64::from(self.of_previous_percent))
                    .div_ceil(100)
                    .try_into()
                    .unwrap_or(u32::MAX),
            )
        });
        let cause = if report.total == 0 { Cause::Empty } else { Cause::Value };
        let enough = report.total >= floor.max(1);
        findings.row(
            report.at("total"),
            enough,
            cause,
            format!("at least {}", floor.max(1)),
            report.total.to_string(),
        );
        if previous && report.previous_total.is_none() {
            findings.absent(report.at("previous_total"), "how many tests ran for the previous version");
        }
        findings.row(report.at("failed"), report.failed == 0, Cause::Value, "0", report.failed.to_string());
        findings.row(
            report.at("errored"),
            report.errored == 0,
            Cause::Value,
            "0",
            report.errored.to_string(),
        );
        let skipped_max = u64::from(report.total) * u64::from(self.skipped_max_percent) / 100;
        let few = u64::from(report.skipped) <= skipped_max;
        findings.row(
            report.at("skipped"),
            few,
            Cause::Value,
            format!("at most {skipped_max}"),
            report.skipped.to_string(),
        );
        let (flaky, attempts) = (report.flaky.unwrap_or(0), report.attempts.unwrap_or(1));
        findings.row(
            report.at("attempts"),
            true,
            Cause::Value,
            "read",
            format!("{attempts} attempts, {flaky} flaky"),
        );
        if self.on_staging {
            for (member, version) in
                [("version_at_start", &report.version_at_start), ("version_at_end", &report.version_at_end)]
            {
                let seen = version.as_ref().map(|version| version.as_str().trim_start_matches('v'));
                let expected = reading.candidate_version().unwrap_or_default();
                findings.checked(report.at(member), seen, Cause::Mismatch, expected, |seen| {
                    reading.is_candidate_version(seen)
                });
            }
            if let Some(head) = &report.head_sha {
                findings.equal(report.at("head_sha"), &candidate.commit_sha, Some(head));
            }
            match report.started_at {
                Some(at) => after_deployment(
                    reading,
                    findings,
                    EnvironmentPurpose::Staging,
                    &report.at("started_at"),
                    at,
                ),
                None => findings.absent(report.at("started_at"), "after the deployment to staging"),
            }
        } else {
            let head = report.head_sha.as_ref();
            findings.equal(report.at("head_sha"), &candidate.commit_sha, head);
        }
    }
}
