//! 3.6: under the same load and environment the candidate is no slower than the previous version.

use serde::{Deserialize, Serialize};

use super::{Findings, Judge, Reading, Reads};
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct PerformanceKept {
    /// Latencies and throughput, of a hundred of the previous version's.
    pub p95_max_percent: u32,
    pub p99_max_percent: u32,
    pub throughput_min_percent: u32,
    /// By how much the share of errors may rise, in parts per million: 1000 is 0.1 percentage points.
    pub error_rate_rise_max_ppm: u32,
    pub samples_min: u32,
    /// Fewer samples are enough when it lasted this long.
    pub duration_min_s: u32,
}

impl Judge for PerformanceKept {
    fn reads(&self) -> Reads {
        Reads::of(&[EvidenceKind::PerfComparison]).and(Reads::CANDIDATE)
    }

    fn not_applicable(&self, reading: &Reading<'_>, findings: &mut Findings) -> bool {
        super::rollback_rehearsed::first_release(reading, findings)
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let Some(run) = reading.latest(of::PerfComparison) else {
            let expected = "a comparison with the previous version under load";
            return findings.no_evidence(reading.number(), EvidenceKind::PerfComparison, expected);
        };
        findings.rest_on(run.evidence);
        if let Some(candidate) = reading.candidate_at(run.head_sha.as_ref()) {
            findings.equal(run.at("head_sha"), &candidate.commit_sha, run.head_sha.as_ref());
        }
        findings.equal(
            run.at("baseline_profile_digest"),
            &run.profile_digest,
            run.baseline_profile_digest.as_ref(),
        );
        match &run.environment_digest {
            Some(shape) => {
                findings.equal(
                    run.at("baseline_environment_digest"),
                    shape,
                    run.baseline_environment_digest.as_ref(),
                );
            }
            None => findings.absent(run.at("environment_digest"), "the shape of the environment"),
        }
        let percent = |ratio: f64| ratio * 100.0;
        let mut most = |member: &str, ratio: f64, limit: u32| {
            let holds = percent(ratio) <= f64::from(limit) + TOLERANCE;
            let expected = format!("at most {}", f64::from(limit) / 100.0);
            findings.row(run.at(member), holds, Cause::Value, expected, ratio.to_string());
        };
        most("p95_ratio", run.p95_ratio, self.p95_max_percent);
        most("p99_ratio", run.p99_ratio, self.p99_max_percent);
        let throughput = percent(run.throughput_ratio) + TOLERANCE >= f64::from(self.throughput_min_percent);
        let expected = format!("at least {}", f64::from(self.throughput_min_percent) / 100.0);
        findings.row(
            run.at("throughput_ratio"),
            throughput,
            Cause::Value,
            expected,
            run.throughput_ratio.to_string(),
        );
        let rise = run.error_rate_delta * 1e6 <= f64::from(self.error_rate_rise_max_ppm) + TOLERANCE;
        let expected = format!("at most {}", f64::from(self.error_rate_rise_max_ppm) / 1e6);
        findings.row(
            run.at("error_rate_delta"),
            rise,
            Cause::Value,
            expected,
            run.error_rate_delta.to_string(),
        );
        let long = run.duration_s >= u64::from(self.duration_min_s);
        let cause = if run.samples == 0 { Cause::Empty } else { Cause::Value };
        findings.row(
            run.at("samples"),
            run.samples > 0 && (run.samples >= self.samples_min || long),
            cause,
            format!("at least {}, or {} seconds", self.samples_min, self.duration_min_s),
            format!("{} in {} seconds", run.samples, run.duration_s),
        );
    }
}

/// Rounding in the last digits is no regression.
const TOLERANCE: f64 = 1e-9;
