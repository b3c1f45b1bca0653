//! 5.5: the previous version still runs, healthy, and is leased.

use serde::{Deserialize, Serialize};

use super::rollback_rehearsed::first_release;
use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{EvidenceKind, of};
use crate::release::LeaseStatus;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PreviousKept {}

impl Judge for PreviousKept {
    fn reads(&self) -> Reads {
        let kinds = Reads::of(&[EvidenceKind::VersionProbe, EvidenceKind::HealthProbe]);
        kinds.and(Reads::LEASE).and(Reads::DEPLOYMENT).and(Reads::ROLLBACK)
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(previous) = reading.previous() else {
            return findings.absent("release/previous", "a previous version");
        };
        let production = EnvironmentPurpose::Production;
        let started = reading.release.in_production().map(|deployment| deployment.started_at);
        let mut probes = reading.all(of::VersionProbe);
        probes.retain(|probe| reading.has_purpose(&probe.environment, production));
        match probes.pop() {
            Some(probe) => {
                findings.rest_on(probe.evidence);
                let seen = probe.version.as_str().trim_start_matches('v');
                findings.equal(probe.at("version"), previous.as_str(), Some(seen));
                if let Some(started) = started {
                    let since = probe.occurred_at() >= started;
                    let expected = format!("not before {started}");
                    findings.row(
                        probe.beside("occurred_at"),
                        since,
                        Cause::Stale,
                        expected,
                        probe.occurred_at().to_string(),
                    );
                }
            }
            None => findings.no_evidence(
                reading.number(),
                EvidenceKind::VersionProbe,
                format!("a probe of {previous}"),
            ),
        }
        let mut series = reading.all(of::HealthProbe);
        series.retain(|series| reading.has_purpose(&series.environment, production));
        match series.pop() {
            Some(series) => {
                findings.rest_on(series.evidence);
                let seen = series.version.as_ref().map(|version| version.as_str().trim_start_matches('v'));
                findings.equal(series.at("version"), previous.as_str(), seen);
                let cause = if series.probes == 0 { Cause::Empty } else { Cause::Value };
                let healthy = series.probes > 0 && series.healthy == series.probes;
                findings.row(
                    series.at("healthy"),
                    healthy,
                    cause,
                    series.probes.to_string(),
                    series.healthy.to_string(),
                );
            }
            None => findings.no_evidence(
                reading.number(),
                EvidenceKind::HealthProbe,
                format!("{previous} is healthy"),
            ),
        }
        match reading.release.leases.last() {
            Some(lease) => {
                let input = format!("lease/{}/status", lease.lease);
                let kept = match lease.status {
                    LeaseStatus::Held => true,
                    LeaseStatus::Released { at, .. } => at >= lease.not_before_release,
                    LeaseStatus::Broken { .. } | LeaseStatus::Consumed { .. } => false,
                };
                findings.row(input, kept, Cause::Value, "held", lease.status.as_str());
                findings.equal(format!("lease/{}/version", lease.lease), previous, Some(&lease.version));
            }
            None => findings.absent("lease", "a lease of the previous version"),
        }
    }

    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        first_release(reading, findings)
    }
}
