//! 2.3 and 5.2: the migrations that the candidate brings are applied, by checksum; in production the
//! same ones that staging proved, with the previous version still healthy.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{EvidenceKind, Migration, MigrationRun, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct MigrationsApplied {
    pub purpose: EnvironmentPurpose,
    /// How long the previous version has to be healthy on the new schema.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_healthy_s: Option<u32>,
}

impl MigrationsApplied {
    fn run<'a>(&self, reading: &Reading<'a>) -> Option<super::reading::Read<'a, MigrationRun>> {
        let mut runs = reading.all(of::MigrationRun);
        runs.retain(|run| reading.has_purpose(&run.environment, self.purpose));
        runs.pop()
    }

    fn is_production(&self) -> bool {
        self.purpose == EnvironmentPurpose::Production
    }

    /// What the run on staging proved.
    fn proven<'a>(reading: &Reading<'a>) -> Option<super::reading::Read<'a, MigrationRun>> {
        let of_staging = |rule: &super::Rule| matches!(rule, super::Rule::MigrationsApplied(rule) if rule.purpose == EnvironmentPurpose::Staging);
        let item = reading.item_of(of_staging)?;
        let rule = Self { purpose: EnvironmentPurpose::Staging, previous_healthy_s: None };
        rule.run(&reading.of_item(item))
    }
}

impl Judge for MigrationsApplied {
    fn reads(&self) -> Reads {
        let kinds = Reads::of(&[EvidenceKind::MigrationRun]).and(Reads::CANDIDATE);
        if self.is_production() {
            kinds.and(Reads::of(&[EvidenceKind::HealthProbe, EvidenceKind::Backup])).and(Reads::DEPLOYMENT)
        } else {
            kinds
        }
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(run) = self.run(reading) else {
            let expected = format!("a run of the migrations on {}", self.purpose.as_str());
            return findings.no_evidence(reading.number(), EvidenceKind::MigrationRun, expected);
        };
        findings.rest_on(run.evidence);
        findings.row(run.at("pending"), run.pending == 0, Cause::Value, "0", run.pending.to_string());
        findings.row(run.at("failed"), run.failed == 0, Cause::Value, "0", run.failed.to_string());
        if self.is_production() {
            match Self::proven(reading) {
                Some(proven) => {
                    let expected = proven.expected.as_deref().unwrap_or(&proven.facts().applied);
                    compare(findings, &run.at("applied"), expected, &run.applied);
                    compare(findings, &run.at("applied"), &run.applied, &proven.applied);
                }
                None => findings.absent(run.at("applied"), "what was proven on staging"),
            }
            self.during_deployment(reading, findings, run.occurred_at(), &run.beside("occurred_at"));
            return;
        }
        match run.expected.as_deref() {
            None => findings.absent(run.at("expected"), "the migrations of the candidate"),
            Some(expected) => compare(findings, &run.at("applied"), expected, &run.applied),
        }
        let candidate = reading.candidate().and_then(|candidate| candidate.migration_set_digest.as_ref());
        if let Some(digest) = candidate {
            findings.equal(run.at("migration_set_digest"), digest, run.migration_set_digest.as_ref());
        }
        let flag = run.backward_compatible.map(|flag| flag.to_string());
        let expected = "whether the previous version runs on the new schema";
        findings.checked(run.at("backward_compatible"), flag, Cause::Value, expected, |_| true);
    }

    /// The comparison of the two sets found nothing to run.
    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        let run = if self.is_production() { Self::proven(reading) } else { self.run(reading) };
        let Some(run) = run else {
            findings.no_evidence(reading.number(), EvidenceKind::MigrationRun, "an empty set of migrations");
            return true;
        };
        let expected = run.expected.as_deref().map(<[_]>::len);
        findings.checked(run.at("expected"), expected, Cause::Value, "0", |count| *count == 0);
        true
    }
}

impl MigrationsApplied {
    fn during_deployment(
        &self,
        reading: &Reading<'_>,
        findings: &mut Findings,
        at: jiff::Timestamp,
        input: &str,
    ) {
        let Some(deployment) = reading.release.in_production() else {
            return findings.absent("deployment", "a deployment to production");
        };
        let started = deployment.started_at;
        findings.row(input, at >= started, Cause::Stale, format!("not before {started}"), at.to_string());
        if let (Some(seconds), Some(previous)) = (self.previous_healthy_s, reading.previous()) {
            let mut series = reading.all(of::HealthProbe);
            series.retain(|series| {
                series.version.as_ref().map(|version| version.as_str().trim_start_matches('v'))
                    == Some(previous.as_str())
                    && reading.has_purpose(&series.environment, self.purpose)
            });
            let Some(series) = series.pop() else {
                let expected = format!("{previous} healthy on the new schema");
                return findings.no_evidence(reading.number(), EvidenceKind::HealthProbe, expected);
            };
            findings.rest_on(series.evidence);
            let all = series.probes > 0 && series.healthy == series.probes;
            findings.row(
                series.at("healthy"),
                all,
                Cause::Value,
                series.probes.to_string(),
                series.healthy.to_string(),
            );
            let since = series.first_at.max(at);
            let span = series.last_at.duration_since(since).as_secs();
            let long = span >= i64::from(seconds);
            let expected = format!("at least {seconds} seconds after the migrations");
            findings.row(series.at("last_at"), long, Cause::Value, expected, format!("{span} seconds"));
        }
    }
}

/// Every expected migration is applied with an equal checksum.
fn compare(findings: &mut Findings, input: &str, expected: &[Migration], applied: &[Migration]) {
    for migration in expected {
        let found = applied.iter().find(|applied| applied.id == migration.id);
        let checksum = found.map(|found| found.checksum.as_str());
        match checksum {
            Some(seen) => {
                findings.equal(format!("{input}/{}", migration.id), migration.checksum.as_str(), Some(seen))
            }
            None => {
                let input = format!("{input}/{}", migration.id);
                findings.row(input, false, Cause::Value, migration.checksum.as_str(), "not applied");
            }
        }
    }
}
