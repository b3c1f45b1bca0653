//! 7.6: the previous version was kept, and answered, as long as it had to be.

use serde::{Deserialize, Serialize};

use super::rollback_rehearsed::first_release;
use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::release::LeaseStatus;
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct LeaseKept {
    /// Of a hundred probes, how many found it healthy.
    pub healthy_min_percent: u32,
}

impl Judge for LeaseKept {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::Lease]).and(Reads::LEASE).and(Reads::ROLLBACK)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(lease) = reading.release.leases.last() else {
            return findings.absent("lease", "a lease of the previous version");
        };
        let at = |member: &str| format!("lease/{}/{member}", lease.lease);
        let released = match lease.status {
            LeaseStatus::Released { at, .. } => Some(at),
            _ => None,
        };
        let expected = format!("released, not before {}", lease.not_before_release);
        let observed = released.map_or_else(|| lease.status.as_str().to_owned(), |at| at.to_string());
        let kept = released.is_some_and(|at| at >= lease.not_before_release);
        findings.row(at("status"), kept, Cause::Value, expected, observed);
        let reported = reading.latest(of::Lease);
        let (input, probes, healthy) = match &reported {
            Some(report) => {
                findings.rest_on(report.evidence);
                findings.equal(report.at("version"), lease.version.as_str(), Some(report.version.as_str()));
                let long = report.from <= lease.opened_at && report.to >= lease.not_before_release;
                let expected = format!("{} to {}", lease.opened_at, lease.not_before_release);
                findings.row(
                    report.at("to"),
                    long,
                    Cause::Value,
                    expected,
                    format!("{} to {}", report.from, report.to),
                );
                (report.at("healthy"), u64::from(report.probes), u64::from(report.healthy))
            }
            None => {
                findings.seen_by(true);
                (at("healthy"), lease.probes, lease.healthy)
            }
        };
        if probes == 0 {
            return findings.absent(input, "probes of the previous version");
        }
        let enough = healthy.saturating_mul(100) >= probes.saturating_mul(self.healthy_min_percent.into());
        let expected = format!("at least {} % of {probes}", self.healthy_min_percent);
        findings.row(input, enough, Cause::Value, expected, healthy.to_string());
    }

    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        first_release(reading, findings)
    }
}
