//! 2.5 and 5.6: the health endpoint passes several times in a row, for every replica and dependency.

use serde::{Deserialize, Serialize};

use super::version_matches::after_deployment;
use super::{Findings, Judge, Reading, Reads};
use crate::event::EnvironmentPurpose;
use crate::evidence::{EvidenceKind, of};
use crate::verdict::Cause;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Healthy {
    pub purpose: EnvironmentPurpose,
    /// How many probes in a row.
    pub probes_min: u32,
    /// How far apart they are at least, on average.
    pub interval_min_s: u32,
}

impl Judge for Healthy {
    fn reads(&self) -> Reads {
        let kinds = Reads::of(&[EvidenceKind::HealthProbe, EvidenceKind::Deployment]);
        kinds.and(Reads::CANDIDATE).and(Reads::DEPLOYMENT)
    }

    fn per_target(&self) -> bool {
        true
    }

    fn judge(&self, reading: &Reading<'_>, findings: &mut Findings) {
        let mut series = reading.all(of::HealthProbe);
        series.retain(|series| {
            let of_previous = series.version.as_ref().map(|version| version.as_str())
                == reading.previous().map(|previous| previous.as_str())
                && series.version.is_some();
            reading.has_purpose(&series.environment, self.purpose) && !of_previous
        });
        let Some(series) = series.pop() else {
            let expected = format!("{} probes of {}", self.probes_min, self.purpose.as_str());
            return findings.no_evidence(reading.number(), EvidenceKind::HealthProbe, expected);
        };
        findings.rest_on(series.evidence);
        let cause = if series.probes == 0 { Cause::Empty } else { Cause::Value };
        let enough = series.probes >= self.probes_min;
        findings.row(
            series.at("probes"),
            enough,
            cause,
            format!("at least {}", self.probes_min),
            series.probes.to_string(),
        );
        let all = series.healthy == series.probes && series.healthy > 0;
        findings.row(
            series.at("healthy"),
            all,
            Cause::Value,
            series.probes.to_string(),
            series.healthy.to_string(),
        );
        let gaps = i64::from(series.probes.saturating_sub(1));
        let needed = i64::from(self.interval_min_s) * gaps;
        let span = series.last_at.duration_since(series.first_at).as_secs();
        findings.row(
            series.at("last_at"),
            span >= needed,
            Cause::Value,
            format!("at least {needed} seconds after the first"),
            format!("{span} seconds"),
        );
        if let Some(status) = series.http_status {
            findings.row(series.at("http_status"), status == 200, Cause::Value, "200", status.to_string());
        }
        match series.failing_dependencies.as_deref() {
            None => findings.absent(series.at("failing_dependencies"), "no dependency"),
            Some(failing) => {
                let list = failing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
                let observed = if failing.is_empty() { "no dependency".to_owned() } else { list };
                let input = series.at("failing_dependencies");
                findings.row(input, failing.is_empty(), Cause::Value, "no dependency", observed);
            }
        }
        match (series.replicas_healthy, series.replicas_total) {
            (Some(healthy), Some(total)) => {
                let cause = if total == 0 { Cause::Empty } else { Cause::Value };
                let holds = total > 0 && healthy == total;
                findings.row(
                    series.at("replicas_healthy"),
                    holds,
                    cause,
                    total.to_string(),
                    healthy.to_string(),
                );
            }
            _ => findings.absent(series.at("replicas_healthy"), "all replicas"),
        }
        after_deployment(reading, findings, self.purpose, &series.at("first_at"), series.first_at);
    }
}
